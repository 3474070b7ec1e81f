"""Strategies for what correct clients send."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ...wire.events import Broadcast, Command, Group, Leave, Login, Logout, Send
from ...wire.visible import has_invisible
from .name import names
from .payload import data


class Turn(NamedTuple):
    """One command of a conversation."""

    client: int
    """Which client sends it; the first is 0. Each has one connection."""

    command: Command
    """What it sends."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a client would like to do. `_Room` knows what it can do."""

    client: int
    kind: type[Command]
    which: int
    """The choice of a name or a group, of those that there are then."""
    data: bytes = b""


_KINDS: Final = (Login, Send, Group, Broadcast, Leave, Logout)


def conversations(clients: int = 3) -> SearchStrategy[list[Turn]]:
    """What correct clients send to one server, one after the other, in their order.

    A client logs in first, and sends nothing after a LOGOUT. It sends to users who are online,
    makes groups that do not exist, broadcasts where it may, and leaves groups that it is in. So a
    server with the default `Policy` and `Limits` executes every command, and sends no notice.

    Args:
        clients: How many clients there are at most; no more than may share a name (16).
    """
    pools = st.lists(
        names().filter(lambda name: not has_invisible(name)), min_size=1, max_size=4, unique=True
    )
    # Each wish holds no more than it needs: what has no effect would take time to shrink.
    who, which = st.integers(0, clients - 1), st.integers(0, 15)
    wishes = st.one_of(
        st.builds(_Wish, who, st.sampled_from(_KINDS), which),
        st.builds(_Wish, who, st.sampled_from((Send, Broadcast)), which, data()),
    )
    return _turns(pools, st.lists(wishes, max_size=20))


# With `builds` and a lambda, Hypothesis would show that, and not the conversation.
@st.composite
def _turns(
    draw: DrawFn, pools: SearchStrategy[list[str]], wishes: SearchStrategy[list[_Wish]]
) -> list[Turn]:
    return _Room(draw(pools)).turns(draw(wishes))


class _Room:
    """The clients of one server, as they know each other.

    Args:
        pool: The names of users and groups.
    """

    def __init__(self, pool: list[str]) -> None:
        self._pool = pool
        self._names: dict[int, str] = {}
        self._gone: set[int] = set()
        self._members: dict[str, set[str]] = {}
        self._makers: dict[str, str] = {}

    def turns(self, wishes: list[_Wish]) -> list[Turn]:
        """What the clients send; wishes that can't come true are left out."""
        turns = []
        for wish in wishes:
            if wish.client in self._gone:
                continue
            if wish.client not in self._names and wish.kind is not Login:
                turns.append(Turn(wish.client, self._login(wish)))
            command = self._command(wish)
            if command is not None:
                turns.append(Turn(wish.client, command))
        return turns

    def _command(self, wish: _Wish) -> Command | None:
        """What becomes of a wish of a client that is logged in, or wants to be."""
        if wish.kind is Login:
            return self._login(wish)
        name = self._names[wish.client]
        if wish.kind is Logout:
            del self._names[wish.client]
            self._gone.add(wish.client)
            return Logout()
        if wish.kind is Send:
            return Send(_choice(list(self._names.values()), wish), wish.data)
        joined = [group for group, members in self._members.items() if name in members]
        if wish.kind is Leave and joined:
            return self._leave(_choice(joined, wish), name)
        allowed = [
            group for group, maker in self._makers.items() if maker == name or group in joined
        ]
        if wish.kind is Broadcast and allowed:
            return Broadcast(_choice(allowed, wish), wish.data)
        # A client that has no group makes one.
        return self._group(wish, name)

    def _login(self, wish: _Wish) -> Login:
        name = self._names[wish.client] = _choice(self._pool, wish)
        return Login(name)

    def _group(self, wish: _Wish, maker: str) -> Group | None:
        free = [name for name in self._pool if name not in self._members]
        if not free:
            return None
        group = _choice(free, wish)
        others = [name for bit, name in enumerate(self._pool) if wish.which >> bit & 1]
        members = [maker, *others] if wish.kind is not Group else others or [maker]
        self._members[group], self._makers[group] = set(members), maker
        return Group(group, members)

    def _leave(self, group: str, name: str) -> Leave:
        self._members[group].remove(name)
        if not self._members[group]:
            del self._members[group], self._makers[group]
        return Leave(group)


def _choice(names: list[str], wish: _Wish) -> str:
    return names[wish.which % len(names)]
