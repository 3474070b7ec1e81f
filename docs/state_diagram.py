"""Draw `chatproto.TRANSITIONS` as `states.svg`, beside this file.

The positions below are set by hand. The arrows and their labels come from the table. An arrow
without a position, or a position without an arrow, is an error.
"""

from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from chatproto import TRANSITIONS, ConnectionClosed, Event, Role, State

SVG: Final = Path(__file__).with_name("states.svg")
"""The drawing in the repository."""


class Place(NamedTuple):
    """The path of an arrow, and the position of its label."""

    path: str
    x: int
    y: int
    per_line: int = 9


WIDTH, HEIGHT = 880, 400
BOX_WIDTH, BOX_HEIGHT = 136, 56

BOXES: Final = {
    State.ANONYMOUS: (124, 190),
    State.LOGGED_IN: (440, 190),
    State.CLOSED: (756, 190),
}
"""The centre of each state's box."""

PLACES: Final = {
    (State.ANONYMOUS, Role.CLIENT, State.LOGGED_IN): Place("M192 190H364", 282, 180),
    (State.ANONYMOUS, Role.SERVER, State.ANONYMOUS): Place(
        "M102 162C92 98 156 98 146 154", 124, 98
    ),
    (State.ANONYMOUS, Role.CLIENT, State.CLOSED): Place(
        "M144 218C190 304 690 304 733 225", 440, 274
    ),
    (State.ANONYMOUS, Role.SERVER, State.CLOSED): Place(
        "M104 218C130 356 750 356 776 226", 440, 344
    ),
    (State.LOGGED_IN, Role.CLIENT, State.LOGGED_IN): Place(
        "M384 162C362 92 440 92 418 154", 386, 78, per_line=3
    ),
    (State.LOGGED_IN, Role.SERVER, State.LOGGED_IN): Place(
        "M470 162C460 98 524 98 502 154", 512, 98
    ),
    (State.LOGGED_IN, Role.CLIENT, State.CLOSED): Place("M508 180H680", 598, 170),
    (State.LOGGED_IN, Role.SERVER, State.CLOSED): Place("M508 202H680", 598, 224),
    (State.CLOSED, Role.CLIENT, State.CLOSED): Place(
        "M700 162C678 92 756 92 734 154", 690, 96, per_line=1
    ),
    (State.CLOSED, Role.SERVER, State.CLOSED): Place(
        "M786 162C776 98 840 98 818 154", 806, 80, per_line=1
    ),
}
"""By the state before, the sender, and the state after."""

STYLE: Final = """\
.chat-states{--ink:#1f2328;--box:#f3f4f6;--line:#8c959f;--client:#0b5cad;--server:#a3420c;
font:14px system-ui,-apple-system,"Segoe UI",sans-serif;min-width:680px;max-width:100%;height:auto}
@media(prefers-color-scheme:dark){.chat-states{--ink:#e6edf3;--box:#2a2f37;--line:#848d97;
--client:#79b8ff;--server:#ffab70}}
[data-md-color-scheme=default] .chat-states{--ink:#1f2328;--box:#f3f4f6;--line:#8c959f;
--client:#0b5cad;--server:#a3420c}
[data-md-color-scheme=slate] .chat-states{--ink:#e6edf3;--box:#2a2f37;--line:#848d97;
--client:#79b8ff;--server:#ffab70}
.chat-states text{fill:var(--ink);text-anchor:middle}
.chat-states rect{fill:var(--box);stroke:var(--line);stroke-width:1.5}
.chat-states path{fill:none;stroke-width:1.8}
.chat-states .state{font-weight:600;font-size:15px}
.chat-states .legend{text-anchor:start}
.chat-states .start{fill:var(--ink)}
.chat-states path.start{stroke:var(--ink)}
.chat-states path.client{stroke:var(--client)}
.chat-states path.server{stroke:var(--server);stroke-dasharray:6 4}
.chat-states text.client,.chat-states path.client-tip{fill:var(--client)}
.chat-states text.server,.chat-states path.server-tip{fill:var(--server)}
.chat-states path.start-tip{fill:var(--ink)}"""
"""The page's own choice of light or dark overrides the system's."""


def diagram() -> str:
    """The whole drawing."""
    labels = arrows()
    if labels.keys() != PLACES.keys():
        raise ValueError(f"without arrow or position: {labels.keys() ^ PLACES.keys()}")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chat-states" role="img" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
    )
    parts = [
        head,
        "<title>The states of a CHAT/1.0 connection</title>",
        f"<style>\n{STYLE}\n</style>",
        "<defs>",
        *(tip(name) for name in ("client", "server", "start")),
        "</defs>",
        '<circle class="start" cx="20" cy="190" r="6"/>',
        '<path class="start" d="M26 190H48" marker-end="url(#chat-start)"/>',
    ]
    for state, (x, y) in BOXES.items():
        left, top = x - BOX_WIDTH // 2, y - BOX_HEIGHT // 2
        parts.append(
            f'<rect x="{left}" y="{top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="10"/>'
        )
        parts.append(f'<text class="state" x="{x}" y="{y + 5}">{state.name}</text>')
    for key, place in PLACES.items():
        parts += arrow(key[1], place, labels[key])
    parts += legend()
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def arrows() -> dict[tuple[State, Role, State], list[str]]:
    """The words along each arrow, in the table's order."""
    found: dict[tuple[State, Role, State], list[str]] = {}
    for before, senders in TRANSITIONS.items():
        for sender, row in senders.items():
            for event, after in row.items():
                found.setdefault((before, sender, after), []).append(word(event))
    return found


def word(event: type[Event]) -> str:
    """The label of an event."""
    return "end of stream" if event is ConnectionClosed else event.__name__.upper()


def arrow(sender: Role, place: Place, words: list[str]) -> list[str]:
    """An arrow and its label. The label's last line is at the position."""
    chunks = [words[i : i + place.per_line] for i in range(0, len(words), place.per_line)]
    lines = [", ".join(chunk) for chunk in chunks]
    lines[:-1] = [line + "," for line in lines[:-1]]
    kind = sender.value
    parts = [f'<path class="{kind}" d="{place.path}" marker-end="url(#chat-{kind})"/>']
    for number, line in enumerate(reversed(lines)):
        y = place.y - 18 * number
        parts.append(f'<text class="{kind}" x="{place.x}" y="{y}">{escape(line)}</text>')
    return parts


def tip(name: str) -> str:
    """The head of one kind of arrow."""
    return (
        f'<marker id="chat-{name}" viewBox="0 0 10 10" refX="2" refY="5" markerWidth="9" '
        f'markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path class="{name}-tip" d="M0 0L10 5L0 10z"/></marker>'
    )


def legend() -> list[str]:
    """The legend for the two kinds of arrow."""
    parts: list[str] = []
    for role, x in ((Role.CLIENT, 250), (Role.SERVER, 460)):
        kind = role.value
        parts.append(
            f'<path class="{kind}" d="M{x} 384h34" marker-end="url(#chat-{kind})"/>'
            f'<text class="legend" x="{x + 52}" y="389">sent by the {kind}</text>'
        )
    return parts


if __name__ == "__main__":
    SVG.write_text(diagram(), encoding="utf-8")
