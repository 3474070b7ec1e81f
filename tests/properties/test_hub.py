"""chatproto.routing.hub against a model, whatever clients do (protocol.md, section 2)."""

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from chatproto import (
    Action,
    Broadcast,
    Broadcasting,
    ChatHub,
    ConnectionClosed,
    Deliver,
    Disconnect,
    DuplicateLogin,
    ErrorCode,
    Event,
    Expire,
    Group,
    Invalid,
    Leave,
    Limits,
    Login,
    Logout,
    Policy,
    Receive,
    Refuse,
    Send,
)

NAMES = st.sampled_from(["alice", "bob", "carol", "dave"])
GROUPS = st.sampled_from(["g1", "g2", "g3"])
LIMITS = [
    Limits(),
    Limits(max_groups=2),
    Limits(max_groups_per_connection=1),
    Limits(max_members=2),
]
DATA = st.binary(max_size=3).map(lambda data: data.replace(b"\n", b"").rstrip(b"\r"))


class HubMachine(RuleBasedStateMachine):
    """Gives the hub an event, and compares its actions with those of the model.

    The model looks at all connections for each event.
    """

    cids = Bundle("cids")

    def __init__(self) -> None:
        super().__init__()
        self.hub: ChatHub[int] = ChatHub()
        self.policy = Policy()
        self.count = 0
        self.names: dict[int, str | None] = {}
        self.gone: set[int] = set()
        self.groups: dict[str, tuple[str, list[str]]] = {}
        self.limits = Limits()
        # The connection that has made each group, as long as it is there.
        self.makers: dict[str, int] = {}

    @initialize(
        duplicate_login=st.sampled_from(DuplicateLogin),
        broadcasting=st.sampled_from(Broadcasting),
        limits=st.sampled_from(LIMITS),
    )
    def choose(
        self, duplicate_login: DuplicateLogin, broadcasting: Broadcasting, limits: Limits
    ) -> None:
        self.policy = Policy(duplicate_login=duplicate_login, broadcasting=broadcasting)
        self.limits = limits
        self.hub = ChatHub(self.policy, limits)

    @rule(target=cids, name=st.none() | NAMES)
    def connect(self, name: str | None) -> int:
        self.count += 1
        self.hub.connect(self.count)
        self.names[self.count] = None
        if name is not None:
            self.log_in(self.count, name)
        return self.count

    def handle(self, cid: int, event: Event) -> list[Action[int]]:
        actions = self.hub.handle(cid, event)
        for action in actions:
            # No connection that is gone receives anything, and none receives it twice.
            if isinstance(action, Deliver):
                assert len(set(action.to)) == len(action.to) > 0
                assert not self.gone.intersection(action.to)
        return actions

    def expect_refusal(self, cid: int, event: Event, code: ErrorCode) -> None:
        [action] = self.handle(cid, event)
        assert isinstance(action, Refuse)
        assert (action.cid, action.code) == (cid, code)

    def expect_delivery(self, cid: int, event: Send | Broadcast, to: set[int]) -> None:
        actions = self.handle(cid, event)
        sender = self.names[cid]
        assert sender is not None
        if not to:
            assert actions == []
            return
        [action] = actions
        assert isinstance(action, Deliver)
        assert set(action.to) == to
        assert action.message == Receive(sender, event.data)

    def online(self, *names: str) -> set[int]:
        return {cid for cid, name in self.names.items() if name in names}

    def forget(self, cid: int) -> None:
        del self.names[cid]
        self.gone.add(cid)
        self.makers = {group: maker for group, maker in self.makers.items() if maker != cid}

    @rule(cid=cids, name=NAMES)
    def log_in(self, cid: int, name: str) -> None:
        if cid in self.gone:
            return
        others = self.online(name) - {cid}
        is_same = self.names[cid] == name
        if others and not is_same and self.policy.duplicate_login is DuplicateLogin.REJECT:
            self.expect_refusal(cid, Login(name), ErrorCode.NAME_IN_USE)
            return
        actions = self.handle(cid, Login(name))
        self.names[cid] = name
        if others and self.policy.duplicate_login is DuplicateLogin.REPLACE:
            assert actions == [Disconnect(other, ErrorCode.NAME_IN_USE) for other in others]
            for other in others:
                self.forget(other)
        else:
            assert actions == []

    @rule(cid=cids, to=NAMES, data=DATA)
    def send(self, cid: int, to: str, data: bytes) -> None:
        if cid in self.gone:
            return
        if self.names[cid] is None:
            self.expect_refusal(cid, Send(to, data), ErrorCode.NOT_LOGGED_IN)
        elif self.online(to):
            self.expect_delivery(cid, Send(to, data), self.online(to))
        else:
            self.expect_refusal(cid, Send(to, data), ErrorCode.NO_SUCH_USER)

    @rule(cid=cids, group=GROUPS, data=DATA)
    def broadcast(self, cid: int, group: str, data: bytes) -> None:
        if cid in self.gone:
            return
        event, name = Broadcast(group, data), self.names[cid]
        if name is None:
            self.expect_refusal(cid, event, ErrorCode.NOT_LOGGED_IN)
        elif group not in self.groups:
            self.expect_refusal(cid, event, ErrorCode.NO_SUCH_GROUP)
        else:
            creator, members = self.groups[group]
            may = name in [creator, *members] or self.policy.broadcasting is Broadcasting.ANYONE
            if may:
                self.expect_delivery(cid, event, self.online(*members) - {cid})
            else:
                self.expect_refusal(cid, event, ErrorCode.NOT_A_MEMBER)

    @rule(cid=cids, group=GROUPS, members=st.lists(NAMES, max_size=4))
    def make_group(self, cid: int, group: str, members: list[str]) -> None:
        if cid in self.gone:
            return
        event, name = Group(group, members), self.names[cid]
        if name is None:
            self.expect_refusal(cid, event, ErrorCode.NOT_LOGGED_IN)
        elif group in self.groups:
            self.expect_refusal(cid, event, ErrorCode.GROUP_EXISTS)
        elif (
            len(event.members) > self.limits.max_members
            or (self.is_full() and not self.unused_groups())
            or list(self.makers.values()).count(cid) == self.limits.max_groups_per_connection
        ):
            self.expect_refusal(cid, event, ErrorCode.TOO_MANY)
        else:
            if self.is_full():
                [action] = self.handle(cid, event)
                assert isinstance(action, Expire)
                assert action.group in self.unused_groups()
                del self.groups[action.group]
                self.makers.pop(action.group, None)
            else:
                assert self.handle(cid, event) == []
            self.groups[group] = (name, members)
            self.makers[group] = cid

    def is_full(self) -> bool:
        return len(self.groups) == self.limits.max_groups

    def unused_groups(self) -> list[str]:
        """The groups in which nobody is online: one of them gives way to a new one."""
        groups = self.groups.items()
        return [name for name, (creator, members) in groups if not self.online(creator, *members)]

    @rule(cid=cids, group=GROUPS)
    def leave(self, cid: int, group: str) -> None:
        if cid in self.gone:
            return
        event, name = Leave(group), self.names[cid]
        if name is None:
            self.expect_refusal(cid, event, ErrorCode.NOT_LOGGED_IN)
        elif group not in self.groups:
            self.expect_refusal(cid, event, ErrorCode.NO_SUCH_GROUP)
        elif name not in self.groups[group][1]:
            self.expect_refusal(cid, event, ErrorCode.NOT_A_MEMBER)
        else:
            assert self.handle(cid, event) == []
            creator, members = self.groups[group]
            rest = [member for member in members if member != name]
            if rest:
                self.groups[group] = (creator, rest)
            else:
                del self.groups[group]
                self.makers.pop(group, None)

    @rule(cid=cids, code=st.sampled_from([ErrorCode.MALFORMED, ErrorCode.TRUNCATED]))
    def send_bad_line(self, cid: int, code: ErrorCode) -> None:
        if cid not in self.gone:
            self.expect_refusal(cid, Invalid(code, b"bad"), code)

    @rule(cid=consumes(cids), end=st.sampled_from([Logout(), ConnectionClosed()]))
    def end(self, cid: int, end: Event) -> None:
        if cid not in self.gone:
            assert self.handle(cid, end) == [Disconnect(cid, None)]
            self.forget(cid)

    @rule(cid=consumes(cids))
    def lose(self, cid: int) -> None:
        self.hub.disconnect(cid)
        if cid not in self.gone:
            self.forget(cid)

    @invariant()
    def counts_are_right(self) -> None:
        assert self.hub.users == len({name for name in self.names.values() if name is not None})
        assert self.hub.groups == len(self.groups)

    @invariant()
    def names_are_right(self) -> None:
        assert {cid: self.hub.name_of(cid) for cid in self.names} == self.names

    def teardown(self) -> None:
        """Disconnect all; then every member logs in to leave its groups, and nothing is left."""
        for cid in self.names:
            self.hub.disconnect(cid)
        assert self.hub.users == 0
        for group, (_, members) in self.groups.items():
            for member in dict.fromkeys(members):
                self.hub.connect(0)
                assert self.hub.handle(0, Login(member)) == []
                assert self.hub.handle(0, Leave(group)) == []
                self.hub.disconnect(0)
        assert self.hub.users == 0
        assert self.hub.groups == sum(not members for _, members in self.groups.values())


TestHub = HubMachine.TestCase
