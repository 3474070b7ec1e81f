"""A client's session hears any stream in any pieces the same, and takes no harm from it."""

import pickle

from hypothesis import example, given
from hypothesis import strategies as st

from chatproto import ChatSession, Echo, ErrorCode, Limits, Message, Notice, Receive, testing
from chatproto.client.messages import read_notice
from chatproto.server.notices import notice
from chatproto.wire.codec import encode

from ..client.sessions import items, notices

# Few bad lines end a connection here, so that the end of one is among what is tried.
LIMITS = Limits(bad_lines=4)

MADE_FOR_IT = st.builds(
    Receive,
    st.sampled_from(["alice", "bob", "*server*"]),
    st.sampled_from(
        [
            # Of those said below: the first login, two pings and a second login.
            *(b"\0chatproto echo n %d" % number for number in range(6)),
            b"\0chatproto echo m 1",
            b"hi",
            b"ERR NAME_IN_USE LOGIN bob is logged in already",
            b"ERR NO_SUCH_USER SEND bob is not online",
            b"ERR SHUTTING_DOWN - the server is shutting down",
        ]
    ),
).map(encode)


@st.composite
def server_streams(draw: st.DrawFn) -> bytes:
    """What a server may say, most of it to the point and in a chat server's words."""
    others = testing.receives().map(encode) | testing.near_valid_lines() | testing.hostile_lines()
    lines = draw(st.lists(st.one_of(MADE_FOR_IT, MADE_FOR_IT, others), max_size=20))
    login = draw(st.sampled_from([b"CHAT/1.0 RECEIVE alice \0chatproto echo n 1\n", b""]))
    return login + b"".join(lines)


def waiting(limits: Limits = LIMITS) -> tuple[ChatSession, list[Echo]]:
    """A session that has said all that it can, and waits for the answers."""
    session = ChatSession("alice", limits=limits)
    return session, [
        session.start(b"n")[1],
        session.ping()[1],
        session.login("bob")[1],
        session.ping()[1],
    ]


def heard(chunks: list[bytes]) -> tuple[object, ...]:
    """All that a session can be asked, after a stream and its end."""
    session, echoes = waiting()
    for chunk in filter(None, chunks):
        session.hear(chunk)
    session.hear(b"")
    return (
        items(session),
        notices(session),
        session.name,
        session.invalid_lines,
        repr(session.ended),
        [(echo.done, repr(echo.error)) for echo in echoes],
    )


@given(st.data(), server_streams() | testing.hostile_bytes())
@example(None, b"CHAT/1.0 RECEIVE alice \0chatproto echo n 1\n" + b"\n" * 9 + b"x" * 5000)
def test_any_chunking_is_heard_the_same(draw: st.DataObject | None, stream: bytes) -> None:
    chunks = draw.draw(testing.chunkings(stream)) if draw else [bytes([each]) for each in stream]
    assert heard(chunks) == heard([stream])


@given(st.data(), server_streams() | testing.hostile_bytes())
def test_whatever_comes_everything_is_decided_at_the_end(
    draw: st.DataObject, stream: bytes
) -> None:
    """Nothing that a server says raises, and nobody waits for ever."""
    session, echoes = waiting()
    for chunk in filter(None, draw.draw(testing.chunkings(stream))):
        session.hear(chunk)
    assert all(echo.done for echo in echoes) or session.ended is None
    session.hear(b"")
    assert session.ended is not None
    assert all(echo.done for echo in echoes)
    assert session.name in ("alice", "bob")
    for item in items(session):
        assert isinstance(item, Message)
        assert not item.data.startswith(b"\0chatproto echo ")
        assert item.sender != "*server*"


@given(server_streams() | testing.hostile_bytes())
@example(b"CHAT/1.0 RECEIVE *server* ".ljust(4095, b"\xff") + b"\n")
def test_a_session_does_not_grow(stream: bytes) -> None:
    """However long a server goes on like this, and takes care not to be closed for it."""
    login, hi = b"CHAT/1.0 RECEIVE alice \0chatproto echo n 1\n", b"\nCHAT/1.0 RECEIVE bob hi\n"
    session, _ = waiting(Limits())
    session.hear(login)
    sizes = []
    for _ in range(2):
        for _ in range(120):
            session.hear(stream + hi)
            items(session)
        sizes.append(len(pickle.dumps(session)))
    # A hundred notices and one line, each octet of which may have become a U+FFFD of three.
    assert sizes[1] <= 101 * 3 * 4096 + 10_000
    assert sizes[1] <= sizes[0] + 5000


@given(
    st.sampled_from(ErrorCode),
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1),
    st.text(st.characters(codec="utf-8", exclude_characters="\n")).filter(
        lambda text: not text.endswith("\r")
    ),
)
def test_a_notice_is_read_as_it_was_meant(code: ErrorCode, command: str, text: str) -> None:
    assert read_notice(notice(code, command, text).data) == Notice(code, command, text)


WORDS = st.sampled_from([b"ERR", b"TOO_MANY", b"LOGIN", b"-", b"", b"\xff", b"hi"])


@given(testing.data() | st.lists(WORDS).map(b" ".join))
def test_no_word_of_a_notice_is_lost(data: bytes) -> None:
    read = read_notice(data)
    usual = f"ERR {read.code} {read.command} {read.text}"
    assert data.decode(errors="replace") in (read.text, usual)
