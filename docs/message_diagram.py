"""Send one message through the core, and draw its way as `message.svg`, beside this file.

The positions and questions below are set by hand. What goes from one part to the next is what the
parts return.
"""

from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from chatproto import (
    ChatBroker,
    ChatConnection,
    ChatHub,
    Deliver,
    Invalid,
    Login,
    Refuse,
    Role,
    Send,
)

SVG: Final = Path(__file__).with_name("message.svg")
"""The drawing in the repository."""

LINE: Final = b"CHAT/1.0 SEND bob hi\n"
"""The message."""


class Part(NamedTuple):
    """A part that the message passes."""

    name: str
    question: str = ""
    """What the part decides."""
    otherwise: tuple[str, ...] = ()
    """What happens if the message ends here."""


class Way(NamedTuple):
    """The parts, and what each of them gives to the next one, in lines."""

    parts: list[Part]
    given: list[list[str]]


WIDTH: Final = 440
BOX_WIDTH: Final = 220
BOX_HEIGHT: Final = 46
BETWEEN: Final = 58
"""The height of an arrow."""

STYLE: Final = """\
.chat-message{--ink:#1f2328;--box:#f3f4f6;--line:#8c959f;--no:#a3420c;
font:13px system-ui,-apple-system,"Segoe UI",sans-serif;max-width:100%;height:auto}
@media(prefers-color-scheme:dark){.chat-message{--ink:#e6edf3;--box:#2a2f37;--line:#848d97;
--no:#ffab70}}
[data-md-color-scheme=default] .chat-message{--ink:#1f2328;--box:#f3f4f6;--line:#8c959f;
--no:#a3420c}
[data-md-color-scheme=slate] .chat-message{--ink:#e6edf3;--box:#2a2f37;--line:#848d97;
--no:#ffab70}
.chat-message text{fill:var(--ink)}
.chat-message rect{fill:var(--box);stroke:var(--line);stroke-width:1.2}
.chat-message .world{fill:none}
.chat-message .name{font-weight:600}
.chat-message .given{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",
monospace;white-space:pre}
.chat-message path{fill:none;stroke:var(--ink);stroke-width:1.5}
.chat-message path.no{stroke:var(--no);stroke-dasharray:5 4}
.chat-message text.no{fill:var(--no);font-size:12px}
.chat-message .tip{fill:var(--ink);stroke:none}
.chat-message .no-tip{fill:var(--no);stroke:none}"""
"""The page's own choice of light or dark overrides the system's."""


def way() -> Way:
    """Send the message, and two that go nowhere, through the parts."""
    connection = ChatConnection(Role.SERVER)
    events = connection.receive_data(b"CHAT/1.0 LOGIN alice\n" + LINE + b"CHAT/1.0 SEND\n")
    match events:
        case [Login() as login, Send() as send, Invalid() as invalid]:
            pass
        case _:
            raise ValueError(f"other events than expected: {events}")

    hub: ChatHub[str] = ChatHub()
    hub.connect("alice")
    hub.handle("alice", login)
    refused = hub.handle("alice", send)
    hub.connect("bob")
    hub.handle("bob", Login("bob"))
    match refused + hub.handle("alice", send):
        case [Refuse() as refuse, Deliver() as deliver]:
            pass
        case actions:
            raise ValueError(f"other actions than expected: {actions}")

    broker: ChatBroker[str] = ChatBroker()
    broker.tick(0.0)
    for name in ("alice", "bob"):
        broker.connect(name, peer="here")
        broker.receive(name, f"CHAT/1.0 LOGIN {name}\n".encode())
    broker.receive("alice", LINE)
    ((to, data),) = broker.take_outgoing()

    parts = [
        Part("alice's socket"),
        Part(
            type(connection).__name__,
            "Is the line valid, now?",
            (f"no: {invalid.code},", "a notice for alice"),
        ),
        Part(
            type(hub).__name__,
            "Who gets it?",
            (f"nobody: {refuse.code},", "a notice for alice"),
        ),
        Part(
            type(broker).__name__,
            "Is there room in the queue?",
            ("no: alice waits until", "bob has read"),
        ),
        Part(f"{to}'s socket"),
    ]
    given = [
        [repr(LINE)],
        [repr(send)],
        # Only broadcasts have a group.
        [f"Deliver(to={deliver.to!r},", f"  message={deliver.message!r})"],
        [repr(data)],
    ]
    return Way(parts, given)


def diagram() -> str:
    """The whole drawing."""
    parts, given = way()
    tops = [1 + number * (BOX_HEIGHT + BETWEEN) for number in range(len(parts))]
    height = tops[-1] + BOX_HEIGHT + 1
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chat-message" role="img" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    )
    drawn = [
        head,
        "<title>The way of a message from alice to bob</title>",
        f"<style>\n{STYLE}\n</style>",
        "<defs>",
        tip("tip"),
        tip("no-tip"),
        "</defs>",
    ]
    for part, top in zip(parts, tops, strict=True):
        drawn += box(part, top)
    for lines, (top, below) in zip(given, pairwise(tops), strict=True):
        drawn += arrow(lines, top + BOX_HEIGHT, below)
    return "\n".join([*drawn, "</svg>\n"])


def box(part: Part, top: int) -> list[str]:
    """A part, and what happens if the message ends there."""
    kind = "" if part.question else ' class="world"'
    middle = top + BOX_HEIGHT // 2
    base = middle - 4 if part.question else middle + 5
    drawn = [
        f'<rect{kind} x="1" y="{top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>',
        f'<text class="name" x="14" y="{base}">{escape(part.name)}</text>',
    ]
    if part.question:
        drawn.append(f'<text x="14" y="{base + 18}">{escape(part.question)}</text>')
        start = BOX_WIDTH + 1
        drawn.append(f'<path class="no" d="M{start} {middle}h22" marker-end="url(#chat-no-tip)"/>')
    for number, text in enumerate(part.otherwise):
        y = middle - 3 + 16 * number
        drawn.append(f'<text class="no" x="{BOX_WIDTH + 29}" y="{y}">{escape(text)}</text>')
    return drawn


def arrow(lines: list[str], top: int, bottom: int) -> list[str]:
    """An arrow between two parts, with what is given."""
    first = (top + bottom) // 2 + 4 - 8 * (len(lines) - 1)
    return [
        f'<path d="M34 {top}V{bottom}" marker-end="url(#chat-tip)"/>',
        *(
            f'<text class="given" x="48" y="{first + 16 * number}">{escape(line)}</text>'
            for number, line in enumerate(lines)
        ),
    ]


def tip(name: str) -> str:
    """The head of one kind of arrow."""
    return (
        f'<marker id="chat-{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" '
        f'markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path class="{name}" d="M0 0L10 5L0 10z"/></marker>'
    )


if __name__ == "__main__":
    SVG.write_text(diagram(), encoding="utf-8")
