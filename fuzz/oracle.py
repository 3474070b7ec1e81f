"""What each connection has to get, worked out from what was sent, and compared with what it got.

Theory of operation
===================

Each message carries its sender's connection and a number, so whoever gets it can tell which line it
was. What must not arrive is simple: a line that nobody has sent, that no server may execute, under
a name that its sender did not have, for somebody else, twice, or out of order.

What *must* arrive is harder to say, because only the broker knows when it has executed a line: the
sender may have waited, and the recipient may have logged in or gone meanwhile. But each client
sends messages to itself. When such a ping comes back,

* all that the client has sent before it has been executed, and
* the client is logged in under the ping's name, until it sends a LOGIN, a LOGOUT or its end.

So three rules need neither the broker's counters nor its word:

* *Required*: a message has to arrive if its recipient was certainly logged in from before the
  broker got it until after its sender's next ping came back, and its sender certainly had a name.
* *No gap*: if two messages of one sender to one name have arrived, all between them have.
* *Settled*: of the messages between two pings, each one has arrived somewhere or its sender was
  told that it was refused, and not both.

What `*groups*` answers is simpler: each request gets exactly one line, in order, and pings tell
between which messages that is. So the answers themselves tell whether a connection wants labels.
What the broker has noted of its groups has to say what its answers say in the end.

A connection that the broker has closed because it was too slow may miss the end of its stream, and
nothing else.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final, NamedTuple

from chatproto import (
    GROUPS_NAME,
    Adding,
    Broadcasting,
    ChatBroker,
    CloseReason,
    ErrorCode,
    EventKind,
    GroupEnded,
    GroupMade,
    Limits,
    MemberAdded,
    MemberLeft,
    NameRule,
)

from .adapter import Client, Finding, Run
from .worlds import ALIKE, HIDDEN, LAST, Kind, Line

HEAD: Final = b"CHAT/1.0 RECEIVE "
SERVER: Final = b"*server*"
SERVICE: Final = GROUPS_NAME.encode()
NOTICE: Final = re.compile(rb"ERR ([A-Z_]+) (-|[A-Z]+) (.+)")
CODES: Final = {code.encode() for code in ErrorCode}
OFFLINE: Final = b" is not online"
MESSAGES: Final = (Kind.SEND, Kind.BROADCAST)
FORESEEN: Final = {CloseReason.LOGGED_OUT, CloseReason.EOF, CloseReason.SHUTTING_DOWN}
"""Reasons that a client or the adapter knows before the broker does."""
FOREIGN: Final = {
    CloseReason.HTTP,
    CloseReason.TLS,
    CloseReason.SSH,
    CloseReason.PROXY,
    CloseReason.FOREIGN,
}
WORDS: Final = {b"on": 1, b"off": 1, b"list": 1, b"members": 2, b"add": 3}
"""The words of each request."""
GROUP_LIMITS: Final = (
    "max_groups",
    "max_groups_per_connection",
    "max_memberships",
    "max_memberships_per_address",
)
"""The limits for which a group may not be made, or has to give way."""
ALL_NOTICES: Final = 1_000_000
"""A burst of notices that is never used up."""
MANY: Final = 100
"""More connections than there are in a world."""


class Received(NamedTuple):
    """A message that has arrived."""

    wake: int
    name: str
    """The sender's name in it."""
    line: Line


class Answered(NamedTuple):
    """A line from `*groups*` that is no label."""

    place: int
    """How many messages had arrived before it."""
    text: str


class Span(NamedTuple):
    """A time in which a connection was certainly logged in under a name; the ends not included."""

    start: float
    end: float


@dataclass(slots=True)
class Story:
    """What a connection has gone through."""

    client: Client
    lines: dict[int, Line]
    handed: dict[int, int]
    """The wake-up in which the broker got each line, for those that it got."""
    logins: list[tuple[int, str]]
    """The number and the name of each LOGIN among them."""
    names: frozenset[str]
    """The names in them."""
    received: list[Received] = field(default_factory=list)
    notices: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    """How many messages had arrived before each, its code, and its text."""
    answers: list[Answered] = field(default_factory=list)
    labelled: bool = False
    """Whether it wants labels, as the answers tell."""
    pings: list[tuple[int, Received]] = field(default_factory=list)
    """Its own messages that it got back, each with its place in `received`."""
    numbers: dict[tuple[int, Kind, str], list[int]] = field(default_factory=dict)
    """The numbers that have arrived, by the sender's connection, SEND or BROADCAST, and to whom."""
    spans: dict[str, list[Span]] = field(default_factory=dict)
    latest: dict[int, int] = field(default_factory=dict)
    """The number of the last message from each sender's connection."""
    complete: bool = False
    """Whether it has certainly got all that was queued for it."""

    def executed_by(self, number: int) -> float:
        """The wake-up by which a line was certainly executed; infinity when that is not certain.

        A ping that has come back may itself still wait for others who have the same name.
        """
        at = bisect_right(self.pings, number, key=lambda ping: ping[1].line.number)
        return self.pings[at][1].wake if at < len(self.pings) else inf

    def name_at(self, number: int) -> str | None:
        """The name under which a line was certainly sent; None when that is not certain."""
        at = bisect_left(self.pings, number, key=lambda ping: ping[1].line.number)
        if not at:
            return None
        ping = self.pings[at - 1][1]
        if any(ping.line.number < login < number for login, _ in self.logins):
            return None
        return ping.name


class Oracle:
    """Judges what has happened in a world on one broker.

    Args:
        run: What has happened.
    """

    def __init__(self, run: Run) -> None:
        self.checks: Counter[str] = Counter()
        """How often each rule was applied."""
        self._run = run
        self._world = run.world
        self._limits: Limits = run.world.limits
        # Whether all queues together never exceed their bound.
        self._roomy = self._limits.total_queue_bytes >= MANY * self._limits.queue_bytes
        self._reasons = {
            event.peer: event.reason or ""
            for event in run.log
            if event.kind in (EventKind.CLOSED, EventKind.PROBED)
        }
        self._stories = {cid: _story(client) for cid, client in run.clients.items()}
        # The names that may have left each group.
        self._left: defaultdict[str, set[str]] = defaultdict(set)
        for story in self._stories.values():
            for number in story.handed:
                line = story.lines[number]
                if line.kind is Kind.LEAVE:
                    self._left[line.name] |= story.names
        # The names that somebody has asked to add to each group, each with who asked, and when.
        self._adds: defaultdict[str, list[tuple[str, Story, int]]] = defaultdict(list)
        for story in self._stories.values():
            for number, wake in story.handed.items():
                line = story.lines[number]
                if line.kind is Kind.REQUEST and _is_request(line.data):
                    word, *words = line.data.decode().split(" ")
                    if word == "add":
                        self._adds[words[0]].append((words[1], story, wake))
        # Who may have made each group, and the groups that there are in the end.
        self._creators: defaultdict[str, set[str]] = defaultdict(set)
        for made in self._world.restored:
            self._creators[made.group].add(made.creator)
        for story in self._stories.values():
            for number in story.handed:
                line = story.lines[number]
                if line.kind is Kind.GROUP:
                    self._creators[line.name] |= story.names
        self._groups = self._replay()
        # Under which name each line has arrived, by the sender's connection.
        self._shown: defaultdict[int, dict[int, str]] = defaultdict(dict)
        # From when on each group has certainly existed.
        self._made: dict[str, float] = {}

    def judge(self) -> None:
        """Check every rule.

        Raises:
            Finding: One of them is broken.
        """
        for story in self._stories.values():
            self._read_all(story)
        for story in self._stories.values():
            self._check_names(story)
            self._find_spans(story)
        self._find_groups()
        self._check_alike()
        for story in self._stories.values():
            self._check_foreign(story)
            self._check_answers(story)
            self._check_groups(story)
            self._check_alive(story)
            self._check_gaps(story)
            self._check_required(story)
            self._check_settled(story)
        self._check_counters()

    # What must not arrive

    def _read_all(self, story: Story) -> None:
        """Read what a client has received, line by line."""
        client = story.client
        rest = b""
        for wake, piece in client.taken:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._read(story, wake, line)
        story.complete = self._is_open(story) or (
            client.always_took
            # Or nobody can tell whether its end has come before all was written.
            and (client.closing or (self._reason(story) == CloseReason.EOF and self._roomy))
        )
        if rest and story.complete:
            raise Finding("cut", f"{client.cid} has got half a line: {rest!r}")
        for at, each in enumerate(story.received):
            if each.line.cid == client.cid and each.line.kind is Kind.SEND:
                story.pings.append((at, each))

    def _is_open(self, story: Story) -> bool:
        """Whether a connection was there when all was at rest."""
        return story.client.gone_at > self._run.rested_at

    def _reason(self, story: Story) -> str:
        """Why a connection was closed; empty when the log has left that out."""
        return self._reasons.get(f"peer-{story.client.cid}", "")

    def _read(self, story: Story, wake: int, raw: bytes) -> None:
        cid = story.client.cid
        if len(raw) >= self._limits.max_line:
            raise Finding("long", f"{cid} has got {len(raw)} bytes: {raw!r}")
        sender, space, data = raw.removeprefix(HEAD).partition(b" ")
        if not raw.startswith(HEAD) or not space:
            raise Finding("forged", f"{cid} has got no RECEIVE: {raw!r}")
        if sender == SERVER:
            self._read_notice(story, data)
            return
        group = None
        if sender == SERVICE:
            word, _, rest = data.partition(b" ")
            if word != b"in":
                self._read_answer(story, wake, data.decode())
                return
            group, sender, data = rest.split(b" ", 2)
        words = data.split(b":", 2)
        line = None
        if len(words) == 3 and words[0].isdigit() and words[1].isdigit():
            author = self._stories.get(int(words[0]))
            line = author and author.lines.get(int(words[1]))
        if not line or line.kind not in MESSAGES or line.data != data:
            raise Finding("forged", f"{cid} has got what nobody has sent: {raw!r}")
        if len(line.raw) > self._limits.max_line:
            raise Finding("forged", f"{cid} has got a line that was too long: {raw!r}")
        if self._stories[line.cid].handed.get(line.number, inf) > wake:
            raise Finding("forged", f"{cid} has got what was not sent yet: {raw!r}")
        if line.kind is Kind.SEND:
            meant = line.name in story.names
        else:
            members = self._possible_members(line.name, wake)
            meant = line.cid != cid and not story.names.isdisjoint(members)
        if not meant:
            raise Finding("astray", f"{cid} has got what is for {line.name}: {raw!r}")
        self._check_label(story, line, sender, group, raw)
        latest = story.latest.get(line.cid, -1)
        if latest >= line.number:
            raise Finding("order", f"{cid} has got {line.number} after {latest}: {raw!r}")
        story.latest[line.cid] = line.number
        story.numbers.setdefault((line.cid, line.kind, line.name), []).append(line.number)
        name = sender.decode()
        story.received.append(Received(wake, name, line))
        if self._shown[line.cid].setdefault(line.number, name) != name:
            raise Finding("sender", f"a message has two senders: {raw!r}")

    def _check_label(
        self, story: Story, line: Line, sender: bytes, group: bytes | None, raw: bytes
    ) -> None:
        """Connections that have asked for labels get all that fit; the others get none."""
        expected = None
        if line.kind is Kind.BROADCAST and story.labelled:
            expected = line.name.encode()
            label = HEAD + b" ".join([SERVICE, b"in", expected, sender, line.data])
            if len(label) + 1 > self._limits.max_line:
                expected = None
            self.checks["labels"] += 1
        if group != expected:
            raise Finding("label", f"{story.client.cid} has got {raw!r}, not for {expected!r}")

    def _read_answer(self, story: Story, wake: int, text: str) -> None:
        cid = story.client.cid
        if not (self._world.notices and self._world.policy.services):
            raise Finding("services", f"{cid} has got an answer: {text}")
        story.answers.append(Answered(len(story.received), text))
        word, *words = text.split(" ")
        if word in ("on", "off"):
            story.labelled = word == "on"
        elif word == "added":
            self._check_added(story, wake, *words)
        elif word == "list":
            for group in words:
                if story.names.isdisjoint(self._possible_members(group, wake)):
                    raise Finding("leak", f"{cid} is told of {group}")
        elif word == "members":
            self._check_members(story, wake, *words)
        elif word != "refused" or words[0].encode() not in CODES:
            raise Finding("forged", f"{cid} has got a strange answer: {text}")

    def _check_added(self, story: Story, wake: int, group: str, member: str, name: str) -> None:
        """Only who may adds somebody, and only if asked; those who are told are concerned."""
        cid, policy = story.client.cid, self._world.policy
        text = f"{cid} is told that {name} has added {member} to {group}"
        told = [other for other in story.answers if other.text == f"added {group} {member} {name}"]
        asked = [
            author
            for added, author, asked_at in self._adds[group]
            if added == member and name in author.names and asked_at <= wake
        ]
        if len(told) > len(asked):
            raise Finding("added", f"{text}, which was asked {len(asked)} times")
        if member not in story.names and story not in asked:
            raise Finding("astray", text)
        creators, members = self._creators[group], self._possible_members(group, wake)
        may = {
            Adding.CREATOR: name in creators,
            Adding.MEMBERS: name in creators or name in members,
            Adding.NOBODY: False,
        }
        if not may[policy.adding]:
            raise Finding("added", text)
        if member.startswith("*") or (member == HIDDEN and policy.names is not NameRule.ANY):
            raise Finding("hidden", text)

    def _check_members(self, story: Story, wake: int, group: str, *members: str) -> None:
        """Members and creators are told who is in a group, and it is no more than can be."""
        possible = self._possible_members(group, wake)
        who = f"{story.client.cid} is told that {members} are in {group}"
        if story.names.isdisjoint(possible | self._creators[group]):
            raise Finding("leak", who)
        if not possible.issuperset(members) or len(set(members)) != len(members):
            raise Finding("members", who)

    def _possible_members(self, group: str, wake: int) -> set[str]:
        """Who may be in a group in some wake-up."""
        added = {name for name, _, asked_at in self._adds[group] if asked_at <= wake}
        return added.union(self._world.groups.get(group, ()))

    def _read_notice(self, story: Story, data: bytes) -> None:
        match = NOTICE.fullmatch(data)
        if match is None or match[1] not in CODES:
            raise Finding("forged", f"{story.client.cid} has got a strange notice: {data!r}")
        if not self._world.notices:
            raise Finding("forged", f"{story.client.cid} has got a notice: {data!r}")
        story.notices.append((len(story.received), match[1], match[3]))

    def _check_names(self, story: Story) -> None:
        """A sender has one name at a time: what others get shows how it changed them."""
        at = 0
        for number, name in sorted(self._shown[story.client.cid].items()):
            while at < len(story.logins) and story.logins[at][1] != name:
                at += 1
            if at == len(story.logins) or story.logins[at][0] > number:
                line = story.lines[number]
                raise Finding("sender", f"{line} came from {name}: {story.logins}")
        for _, ping in story.pings:
            if ping.name != ping.line.name:
                raise Finding("sender", f"{ping.line} came back from {ping.name}")

        if self._world.policy.names is not NameRule.ANY and any(
            name == HIDDEN for name in self._shown[story.client.cid].values()
        ):
            raise Finding("hidden", f"{story.client.cid} has a name that nobody can see")

    def _check_alike(self) -> None:
        """Where names have to be distinct, nobody is online as BOB and bob."""
        if self._world.policy.names is not NameRule.DISTINCT:
            return
        spans = [
            (span, name, story)
            for story in self._stories.values()
            for name in (ALIKE, ALIKE.lower())
            for span in story.spans.get(name, ())
        ]
        for span, name, story in spans:
            for other, other_name, other_story in spans:
                both = min(span.end, other.end) - max(span.start, other.start)
                if name != other_name and story is not other_story and both > 1:
                    cids = story.client.cid, other_story.client.cid
                    raise Finding("alike", f"{cids} are {name} and {other_name}")

    def _check_foreign(self, story: Story) -> None:
        """Nothing behind a line of another protocol is executed, unless a LOGIN came before it."""
        for number in story.handed:
            kind = story.lines[number].kind
            if kind is Kind.LOGIN:
                return
            if kind is Kind.FOREIGN:
                break
        else:
            return
        self.checks["foreign"] += 1
        cid = story.client.cid
        if self._shown[cid] or story.received or story.answers:
            raise Finding("foreign", f"{cid} speaks another protocol, and takes part")
        if self._is_open(story):
            raise Finding("foreign", f"{cid} speaks another protocol, and is not closed")

    # What is answered, and what groups there are

    def _check_answers(self, story: Story) -> None:
        """Each request is answered once, in order."""
        if not (self._world.notices and self._world.policy.services):
            return
        for (first, before), (last, after) in zip(story.pings, story.pings[1:], strict=False):
            low, high = before.line.number, after.line.number
            name = story.name_at(high)
            if name is None:
                continue
            requests = [
                line.data.decode()
                for number, line in story.lines.items()
                if low < number < high and line.kind is Kind.REQUEST and _is_request(line.data)
            ]
            self.checks["answered"] += len(requests)
            # How many may be answered. What others have added may look like an answer.
            answered = {0}
            for answer in story.answers:
                if not first < answer.place <= last:
                    continue
                so_far = answered
                answered = {
                    count + 1
                    for count in so_far
                    if count < len(requests) and _answers(answer.text, requests[count], name)
                }
                if answer.text.startswith("added ") and answer.text.split(" ")[2] in story.names:
                    answered |= so_far
                if not answered:
                    text = f"{answer.text!r} answers none of {requests}"
                    raise Finding("answer", f"{story.client.cid}: {text}")
            if len(requests) not in answered:
                text = f"{max(answered)} of {requests} are answered"
                raise Finding("answer", f"{story.client.cid}: {text}")

    def _replay(self) -> dict[str, GroupMade]:
        """The groups that there are in the end, by their changes."""
        groups = {made.group: made for made in self._world.restored}
        left = Counter((group, name) for group, adds in self._adds.items() for name, _, _ in adds)
        for change in self._run.changes:
            name = change.group
            made = groups.get(name)
            match change:
                case GroupMade() if made is None:
                    groups[name] = change
                case GroupEnded() if made is not None:
                    del groups[name]
                case MemberAdded(_, member) if made and member not in made.members:
                    groups[name] = replace(made, members=(*made.members, member))
                    left[name, member] -= 1
                    if left[name, member] < 0:
                        raise Finding("changes", f"nobody has asked for {change}")
                case MemberLeft(_, member) if made and member in made.members:
                    members = tuple(each for each in made.members if each != member)
                    groups[name] = replace(made, members=members)
                case _:
                    raise Finding("changes", f"{change} makes no sense: {made}")
        restored: ChatBroker[int] = ChatBroker(groups=groups.values())
        if restored.snapshot().groups != self._run.counters.groups:
            raise Finding("changes", f"{self._run.counters.groups} groups: {groups}")
        return groups

    def _check_groups(self, story: Story) -> None:
        """What a client is told when all is at rest is what the changes say."""
        if not story.answers or not self._is_open(story) or story.client.silent:
            return
        asked_at = self._run.asked_at[story.client.cid]
        at = bisect_left(story.pings, asked_at, key=lambda ping: ping[1].line.number)
        if at == len(story.pings):
            return
        place, name = story.pings[at][0], story.pings[at][1].name
        for number, line in story.lines.items():
            if number < asked_at or line.kind is not Kind.REQUEST:
                continue
            word, *words = line.data.decode().split(" ")
            if word == "list":
                mine = [group for group, made in self._groups.items() if name in made.members]
                expected = " ".join(["list", *mine])
            else:
                made = self._groups.get(words[0])
                expected = f"refused {ErrorCode.NO_SUCH_GROUP} members {words[0]}"
                if made is not None and name in (made.creator, *made.members):
                    expected = " ".join(["members", made.group, *made.members])
            self.checks["groups"] += 1
            if not any(each.text == expected for each in story.answers if each.place <= place):
                raise Finding("changes", f"{story.client.cid} is not told {expected!r}")

    # What must arrive

    def _find_spans(self, story: Story) -> None:
        """Find when a connection was certainly logged in under which name."""
        client = story.client
        end = inf
        if not self._is_open(story):
            if not story.complete or self._reason(story) not in FORESEEN:
                return
            end = min(client.eof_at, self._run.drained_at)
        changes = [
            number
            for number in story.handed
            if story.lines[number].kind in (Kind.LOGIN, Kind.LOGOUT)
        ]
        for _, ping in story.pings:
            at = bisect_left(changes, ping.line.number)
            until = story.handed[changes[at]] if at < len(changes) else inf
            span = Span(ping.wake, min(until, end))
            spans = story.spans.setdefault(ping.name, [])
            if not spans or spans[-1].end != span.end:
                spans.append(span)

    def _check_alive(self, story: Story) -> None:
        """Whoever is logged in at the end gets its last ping."""
        if self._is_open(story) and story.pings and not story.client.silent:
            self.checks["alive"] += 1
            if story.pings[-1][1].line.data.endswith(LAST):
                return
            raise Finding("stuck", f"{story.client.cid} does not get its last ping")

    def _fits(self, line: Line, names: Iterable[str]) -> bool:
        """Whether a message fits into a line under each of some names of its sender."""
        size = len(HEAD) + len(line.data) + 2
        longest = self._limits.max_line
        return len(line.raw) <= longest and all(
            size + len(name.encode()) <= longest for name in names
        )

    def _check_gaps(self, story: Story) -> None:
        """Between two messages that have arrived none is missing."""
        if len(story.logins) != 1:
            return
        for (cid, kind, name), numbers in story.numbers.items():
            sender = self._stories[cid]
            if kind is Kind.BROADCAST and (
                len(sender.logins) != 1
                or not self._left[name].isdisjoint(story.names | sender.names)
            ):
                continue
            between = [
                number
                for number, line in sender.lines.items()
                if line.kind is kind
                and line.name == name
                and numbers[0] < number < numbers[-1]
                and self._fits(line, sender.names)
            ]
            self.checks["no gap"] += len(between)
            missing = set(between).difference(numbers)
            if missing:
                line = sender.lines[min(missing)]
                raise Finding("gap", f"{story.client.cid} has not got {line}, but later ones")

    def _check_required(self, story: Story) -> None:
        """What a connection has sent arrives wherever it certainly has to."""
        by_name: defaultdict[str, list[Story]] = defaultdict(list)
        for other in self._stories.values():
            for name in other.spans:
                by_name[name].append(other)
        for number, start in story.handed.items():
            line = story.lines[number]
            if line.kind not in MESSAGES:
                continue
            end, sender = story.executed_by(number), story.name_at(number)
            if end == inf or sender is None or not self._fits(line, (sender,)):
                continue
            for name in self._certain_recipients(line, sender, start):
                for other in by_name[name]:
                    if other is story and line.kind is Kind.BROADCAST:
                        continue
                    if any(span.start < start and end < span.end for span in other.spans[name]):
                        self.checks["required"] += 1
                        got = other.numbers.get((line.cid, line.kind, line.name), [])
                        if not _is_in(number, got):
                            raise Finding("lost", f"{other.client.cid} has not got {line}")

    def _find_groups(self) -> None:
        """Find from when on each group has certainly existed."""
        limits, default = self._limits, Limits()
        if any(getattr(limits, name) < getattr(default, name) for name in GROUP_LIMITS):
            return
        for story in self._stories.values():
            for number in story.handed:
                line = story.lines[number]
                if line.kind is Kind.GROUP and story.name_at(number) is not None:
                    at = min(story.executed_by(number), self._made.get(line.name, inf))
                    self._made[line.name] = at

    def _certain_recipients(self, line: Line, sender: str, start: int) -> tuple[str, ...]:
        """The names to which a message has to go if it was executed in some wake-up or later."""
        group = line.name
        if line.kind is Kind.SEND:
            return (group,)
        members = self._world.groups[group]
        if len(members) > self._limits.max_members or self._made.get(group, inf) >= start:
            return ()
        certain = tuple(name for name in members if name not in self._left[group])
        anyone = self._world.policy.broadcasting is Broadcasting.ANYONE
        return certain if anyone or sender in certain else ()

    def _check_settled(self, story: Story) -> None:
        """Each message has arrived somewhere, or was refused."""
        if not self._world.notices or self._limits.notice_burst < ALL_NOTICES:
            return
        for (first, before), (last, after) in zip(story.pings, story.pings[1:], strict=False):
            low, high = before.line.number, after.line.number
            name = story.name_at(high)
            if name is None:
                continue
            sent: defaultdict[str, list[int]] = defaultdict(list)
            too_long: set[str] = set()
            for number in range(low + 1, high):
                line = story.lines.get(number)
                if line and line.kind is Kind.SEND:
                    sent[line.name].append(number)
                    if not self._fits(line, (name,)):
                        too_long.add(line.name)
            refused = Counter(
                text.removesuffix(OFFLINE).decode()
                for place, code, text in story.notices
                if first < place <= last and code == ErrorCode.NO_SUCH_USER.encode()
            )
            for to, numbers in sent.items():
                if to.startswith("*") or to in too_long:
                    continue
                recipients = [each for each in self._stories.values() if to in each.names]
                if not all(each.complete for each in recipients):
                    continue
                self.checks["settled"] += len(numbers)
                key = (story.client.cid, Kind.SEND, to)
                got: set[int] = set()
                for each in recipients:
                    got.update(each.numbers.get(key, ()))
                arrived = len(got.intersection(numbers))
                if arrived + refused[to] != len(numbers):
                    raise Finding(
                        "settled",
                        f"{story.client.cid} sent {to} {len(numbers)} messages from number {low} "
                        f"to {high}: {arrived} arrived, {refused[to]} were refused",
                    )

    def _check_counters(self) -> None:
        """Where nobody has missed anything, the broker has counted what has arrived."""
        if not all(story.complete for story in self._stories.values()):
            return
        self.checks["counted"] += 1
        arrived = sum(
            len(story.received) + sum(each.text.startswith("added ") for each in story.answers)
            for story in self._stories.values()
        )
        if arrived != self._run.counters.deliveries:
            raise Finding("counters", f"{arrived} have arrived: {self._run.counters}")


def _story(client: Client) -> Story:
    lines = {line.number: line for line in client.lines}
    handed = {line.number: wake for line, wake in zip(client.lines, client.handed, strict=False)}
    logins = [(number, lines[number].name) for number in handed if lines[number].kind is Kind.LOGIN]
    return Story(client, lines, handed, logins, frozenset(name for _, name in logins))


def _is_in(number: int, ascending: Sequence[int]) -> bool:
    at = bisect_left(ascending, number)
    return at < len(ascending) and ascending[at] == number


def _is_request(data: bytes) -> bool:
    """Whether something that is sent to `*groups*` is answered."""
    words = data.split(b" ")
    return WORDS.get(words[0]) == len(words)


def _answers(answer: str, request: str, name: str) -> bool:
    """Whether a line from `*groups*` may answer a request from somebody of some name."""
    word, *words = answer.split(" ")
    if word == "refused":
        return " ".join(words[1:]) == request
    if word == "added":
        return request == " ".join(["add", *words[:2]]) and words[2] == name
    return request == " ".join([word, *words[: word == "members"]])
