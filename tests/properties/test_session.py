"""chatproto.client.session with any stream, in any pieces: the same result, and no harm."""

import pickle

from hypothesis import example, given
from hypothesis import strategies as st

from chatproto import (
    Added,
    ChatSession,
    ErrorCode,
    Limits,
    Message,
    Notice,
    Ping,
    Receive,
    testing,
)
from chatproto.client.messages import read_notice
from chatproto.server.notices import notice
from chatproto.wire.codec import encode

from ..client.sessions import items, new_session, notices

# Few bad lines end a connection here, so that the tries include such ends.
LIMITS = Limits(bad_lines=4)

TO_THE_POINT = st.builds(
    Receive,
    st.sampled_from(["alice", "bob", "*server*", "*groups*"]),
    st.sampled_from(
        [
            # The pings of `waiting`, two of them with a login, and others.
            *(b"\0chatproto echo token %d" % number for number in range(8)),
            b"\0chatproto echo another 1",
            b"hi",
            b"ERR NAME_IN_USE LOGIN bob is logged in already",
            b"ERR NO_SUCH_USER SEND bob is not online",
            b"ERR SHUTTING_DOWN - the server is shutting down",
            b"on",
            b"list tea",
            b"refused NOT_ALLOWED list",
            b"added tea alice bob",
            b"in tea bob hi",
            b"in tea alice \0chatproto echo token 2",
        ]
    ),
).map(encode)


@st.composite
def server_streams(draw: st.DrawFn) -> bytes:
    """What a server may send: mostly lines that a session expects."""
    near_valid = testing.near_valid_lines().map(lambda judged: judged.line)
    others = testing.receives().map(encode) | near_valid | testing.hostile_lines()
    lines = draw(st.lists(st.one_of(TO_THE_POINT, TO_THE_POINT, others), max_size=20))
    login = draw(st.sampled_from([b"CHAT/1.0 RECEIVE alice \0chatproto echo token 1\n", b""]))
    return login + b"".join(lines)


def waiting(limits: Limits = LIMITS) -> tuple[ChatSession, list[Ping]]:
    """A session that has sent logins, requests and pings, and its pending pings."""
    session = new_session("alice", limits=limits)
    return session, [
        session.start()[1],
        session.ping()[1],
        session.request("list")[1].ping,
        session.login("bob")[1],
        session.request("add", "tea", "alice")[1].ping,
        session.ping()[1],
    ]


def outcome(chunks: list[bytes]) -> tuple[object, ...]:
    """All that a session tells after a stream and its end."""
    session, pings = waiting()
    for chunk in filter(None, chunks):
        session.receive_data(chunk)
    session.receive_eof()
    return (
        items(session),
        notices(session),
        session.name,
        session.labels,
        session.invalid_lines,
        repr(session.error),
        [(ping.done, repr(ping.error)) for ping in pings],
    )


@given(st.data(), server_streams() | testing.hostile_bytes())
@example(None, b"CHAT/1.0 RECEIVE alice \0chatproto echo token 1\n" + b"\n" * 9 + b"x" * 5000)
def test_the_result_does_not_depend_on_chunks(draw: st.DataObject | None, stream: bytes) -> None:
    chunks = draw.draw(testing.chunkings(stream)) if draw else [bytes([each]) for each in stream]
    assert outcome(chunks) == outcome([stream])


@given(st.data(), server_streams() | testing.hostile_bytes())
def test_nothing_raises_and_all_pings_are_done_at_the_end(
    draw: st.DataObject, stream: bytes
) -> None:
    session, pings = waiting()
    for chunk in filter(None, draw.draw(testing.chunkings(stream))):
        session.receive_data(chunk)
    assert all(ping.done for ping in pings) or session.error is None
    session.receive_eof()
    assert session.error is not None
    assert all(ping.done for ping in pings)
    assert session.name in ("alice", "bob")
    for item in items(session):
        if isinstance(item, Added):
            continue
        assert isinstance(item, Message)
        assert not item.data.startswith(b"\0chatproto echo ")
        assert item.sender != "*server*"


@given(server_streams() | testing.hostile_bytes())
@example(b"CHAT/1.0 RECEIVE *server* ".ljust(4095, b"\xff") + b"\n")
def test_a_session_does_not_grow(stream: bytes) -> None:
    """However long a server goes on like this, with good lines in between."""
    login, hi = b"CHAT/1.0 RECEIVE alice \0chatproto echo token 1\n", b"\nCHAT/1.0 RECEIVE bob hi\n"
    session, _ = waiting(Limits())
    session.receive_data(login)
    sizes = []
    for _ in range(2):
        for _ in range(120):
            session.receive_data(stream + hi)
            items(session)
        sizes.append(len(pickle.dumps(session)))
    # A hundred notices and one line. Each of their bytes may have become a U+FFFD, which takes 3.
    assert sizes[1] <= 101 * 3 * 4096 + 10_000
    assert sizes[1] <= sizes[0] + 5000


@given(
    st.sampled_from(ErrorCode),
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1),
    st.text(st.characters(codec="utf-8", exclude_characters="\n")).filter(
        lambda text: not text.endswith("\r")
    ),
)
def test_a_notice_is_parsed_as_it_was_made(code: ErrorCode, command: str, text: str) -> None:
    assert read_notice(notice(code, command, text).data) == Notice(code, command, text)


WORDS = st.sampled_from([b"ERR", b"TOO_MANY", b"LOGIN", b"-", b"", b"\xff", b"hi"])


@given(testing.data() | st.lists(WORDS).map(b" ".join))
def test_no_word_of_a_notice_is_lost(data: bytes) -> None:
    read = read_notice(data)
    usual = f"ERR {read.code} {read.command} {read.text}"
    assert data.decode(errors="replace") in (read.text, usual)
