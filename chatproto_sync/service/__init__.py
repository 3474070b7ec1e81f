"""What a command that runs a server needs: options, log formats, metrics, systemd.

May import: `sockets` and `chatproto`. Imported by: the commands.
"""
