"""Why a server cannot start."""


class StartError(Exception):
    """The server cannot start. The message says why, in words for people."""
