"""Moderation: `SEND *mod* /kick bob be nice` from a moderator ends the connections of bob.

    cd examples/hooks
    MODERATORS=alice,carol chatproto serve --config tls.toml --hooks moderation:make_hooks

A NAME PROVES NOTHING on a server where everybody can log in under any name. Use this only with
client certificates (`--tls-client-ca`) or `authenticate=`. A user who was disconnected can log in
again; `Server.ban` keeps a name or an address out.
"""

import os
from collections.abc import Collection
from typing import Protocol

from chatproto import Hooks, HookVerdict, Refusal, Reply, Said, Send

NAME = "*mod*"
"""The reserved name that moderators talk to. Nobody can log in under it."""

HELP = Reply(b"/kick NAME [WHY] ends the connections of a user", NAME)


class CanKick(Protocol):
    """Every server."""

    def kick(self, name: str, text: str = "") -> int:
        """End the connections of a user. Returns how many there were."""
        ...


class Moderation:
    """Does what moderators ask for.

    Args:
        server: The server.
        moderators: The names of the moderators.
    """

    def __init__(self, server: CanKick, moderators: Collection[str]) -> None:
        self._server = server
        self._moderators = frozenset(moderators)

    def __call__(self, said: Said) -> HookVerdict | None:
        """Answer a message to `*mod*`; let others pass."""
        match said.event:
            case Send(to, data) if to == NAME:
                if said.name not in self._moderators:
                    return Refusal("NOT_MODERATOR", "only moderators may do this")
                return self._answer(data.decode(errors="replace").split(maxsplit=2))
        return None

    def _answer(self, words: list[str]) -> Reply:
        match words:
            case ["/kick", name, *why]:
                ended = self._server.kick(name, " ".join(why)[:100].rstrip())
                return Reply(f"connections ended: {ended}".encode(), NAME)
        return HELP


def make_hooks(server: CanKick) -> Hooks:
    """The table, with the moderators from the environment."""
    moderators = os.environ.get("MODERATORS", "").split(",")
    return {Send: [Moderation(server, moderators)]}
