"""What a command that runs a server needs: options, settings, the log, metrics, systemd.

May import: `cluster`, `sockets`, `state` and `chatproto`. Imported by: the commands.
"""
