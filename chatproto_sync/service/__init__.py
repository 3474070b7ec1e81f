"""What a command that runs a server needs: options, settings, the log, metrics, systemd.

May import: `sockets` and `chatproto`. Imported by: the commands.
"""
