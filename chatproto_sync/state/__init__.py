"""The file that a server keeps its groups and bans in, so that they are there after a restart.

May import: `chatproto`. Imported by: the servers, and the commands that run them.
"""
