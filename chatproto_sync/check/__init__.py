"""Plays the transcripts of `chatproto.conformance` over sockets: `python -m chatproto_sync.check`.

It imports `sockets` and `service`, and no client and no server, because it checks those.
"""
