"""Why a server cannot keep its groups and bans in a file."""


class StateError(Exception):
    """The state file can't be used. The message names it, and says why and what to do."""
