"""chatproto_anyio.cli.chat.terminal: keys, the prompt and the lines above it, in a terminal."""

import pty
import re
import signal
import termios
import unicodedata

import pytest

from chatproto import DuplicateLogin, NameRule, Policy
from chatproto_anyio.cli.chat.terminal import RawInput

from ...servers import SocketClient, run_sync
from .terminal import PATIENT_CHAT, open_chat


def test_typing_goes_on_while_messages_arrive(bob: SocketClient, path: str) -> None:
    with open_chat(path, "--to", "bob") as terminal:
        terminal.wait_for_prompt("alice -> bob:")
        terminal.type("half a ")
        terminal.wait_for_prompt("alice -> bob: half a")
        bob.write(b"CHAT/1.0 SEND alice hi\nCHAT/1.0 SEND alice are you there?\n")
        terminal.wait_for_line("<bob> hi")
        terminal.wait_for_line(r"<bob> are you there\?")
        terminal.wait_for_prompt("alice -> bob: half a")
        terminal.type("message\r")
        terminal.wait_for_line("-> bob: half a message")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice half a message\n"


def test_kinds_of_lines_differ_without_colours(bob: SocketClient, path: str) -> None:
    with open_chat(path, NO_COLOR="1") as terminal:
        terminal.wait_for_line(r"\* /help lists .*")
        bob.write(b"CHAT/1.0 SEND alice hi\n")
        terminal.wait_for_line("<bob> hi")
        terminal.type("/msg bob hello\r/msg carol hello\r")
        terminal.wait_for_line("-> bob: hello")
        terminal.wait_for_line("! NO_SUCH_USER: carol is not online")
        assert terminal.colours == set()


def test_kinds_of_lines_differ_in_colour(bob: SocketClient, path: str) -> None:
    with open_chat(path) as terminal:
        terminal.wait_for_prompt("alice:")
        bob.write(b"CHAT/1.0 SEND alice hi\nCHAT/1.0 GROUP tea alice bob\n")
        bob.write(b"CHAT/1.0 BROADCAST tea hi, all\n")
        terminal.wait_for_line("<bob> hi")
        terminal.wait_for_line("#tea <bob> hi, all")
        terminal.type("/msg bob hello\r/msg carol hello\r")
        terminal.wait_for_line("! NO_SUCH_USER: carol is not online")
        terminal.wait_for_prompt("alice:")
        prefixes = {line[6:].split()[0]: y for y, line in enumerate(terminal.lines[:-1])}
        assert list(prefixes) == ["*", "<bob>", "#tea", "->", "!"]
        assert len({terminal.screen.buffer[y][6].fg for y in prefixes.values()}) == 5


@pytest.mark.parametrize("no_color", ["", "1"], ids=["colours", "no colours"])
def test_the_heads_of_lines_are_bold_and_no_text_is(
    bob: SocketClient, path: str, no_color: str
) -> None:
    """A text that goes on in another row may look like another line, but not in that."""
    with open_chat(path, command=PATIENT_CHAT, NO_COLOR=no_color) as terminal:
        terminal.wait_for_prompt("alice:")
        forged = "12:34 #tea <carol> hi"
        indent = " " * len("12:34 <bob> ")
        text = f"{'x' * (80 - len(indent))}{forged}"
        bob.write(b"CHAT/1.0 GROUP tea alice bob\nCHAT/1.0 BROADCAST tea hi\n")
        bob.write(b"CHAT/1.0 BROADCAST tea Alice?\n")
        bob.write(b"CHAT/1.0 SEND alice %b\n" % text.encode())
        terminal.wait_for(lambda lines: f"{indent}{forged}" in lines)
        terminal.type("/msg bob hi\r/msg carol hi\r")
        terminal.wait_for_line("! NO_SUCH_USER: carol is not online")
        terminal.wait_for_prompt("alice:")
        assert bool(terminal.colours) == (not no_color)
        bold = [
            "".join(row[x].data for x in range(80) if row[x].bold).strip()[6:]
            for row in (terminal.screen.buffer[y] for y in range(len(terminal.lines) - 1))
        ]
        heads = ["*", "#tea <bob>", "#tea <bob>", "<bob>", "", "-> bob:", "! -> carol:", "!"]
        assert bold == heads
        # What is for this user in particular stands out.
        cells = [terminal.screen.buffer[y][6] for y in range(len(heads))]
        assert [cell.reverse for cell in cells] == [y == 2 for y in range(len(heads))]
        assert [cell.underscore for cell in cells] == [y == 3 for y in range(len(heads))]


def test_recipients(bob: SocketClient, path: str) -> None:
    with open_chat(path) as terminal:
        terminal.wait_for_prompt("alice:")
        terminal.type("hi\r")
        terminal.wait_for_line(r"\* nobody would get that: .*")
        terminal.type("/to bob\r")
        terminal.wait_for_prompt("alice -> bob:")
        terminal.type("/group team bob\r/to-group team\r")
        terminal.wait_for_prompt("alice -> group team:")
        terminal.type("hi all\r")
        terminal.wait_for_line("-> group team: hi all")
        terminal.type("/to\r")
        terminal.wait_for_prompt("alice:")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi all\n"


@pytest.mark.usefixtures("bob")
def test_tab_completes_commands(path: str) -> None:
    with open_chat(path) as terminal:
        terminal.wait_for_prompt("alice:")
        terminal.type("/he\t")
        terminal.wait_for_prompt("alice: /help")
        terminal.type("\x03/t\t")
        terminal.wait_for_prompt("alice: /to")
        # Two commands start like that.
        terminal.type("\t")
        terminal.wait_for(lambda lines: lines[-1].split()[:1] == ["/to-group"])
        terminal.type("\t\t")
        terminal.wait_for(lambda lines: any(line == "alice: /to-group" for line in lines))


def test_tab_completes_names(bob: SocketClient, path: str) -> None:
    with open_chat(path) as terminal:
        terminal.wait_for_prompt("alice:")
        bob.write(b"CHAT/1.0 SEND alice hi\n")
        terminal.wait_for_line("<bob> hi")
        # The next keys arrive together with Tab, as over a slow connection.
        terminal.type("/msg b\tyou, too\r")
        terminal.wait_for_line("-> bob: you, too")
        terminal.type("/say team x\r")
        terminal.wait_for_line("! -> group team: x")
        terminal.type("/leave t\t\r")
        terminal.wait_for_line("! asked to leave group team")


def test_groups(bob: SocketClient, path: str) -> None:
    with open_chat(path) as terminal:
        terminal.wait_for_prompt("alice:")
        bob.write(b"CHAT/1.0 GROUP tea bob carol\nCHAT/1.0 SEND *groups* add tea alice\n")
        terminal.wait_for_line(r"\* bob has added you to group tea")
        # Tab completes what that line, and then the list, has told.
        terminal.type("/na\tt\t\r")
        terminal.wait_for_line(r"\* in group tea: bob, carol, alice")
        terminal.type("/add t\t ca\t\r")
        terminal.wait_for_line("! NOT_ALLOWED: this server does not let you add members to tea")
        terminal.type("/groups\r")
        terminal.wait_for_line(r"\* your groups: tea")


@pytest.mark.parametrize("keys", ["/reply ", "/re\t"])
def test_a_reply_goes_where_the_user_saw_that_it_goes(
    bob: SocketClient, path: str, keys: str
) -> None:
    with open_chat(path) as terminal:
        terminal.wait_for_prompt("alice:")
        terminal.type("/reply ")
        terminal.wait_for_prompt("alice: /reply")
        terminal.type("\x03")
        bob.write(b"CHAT/1.0 GROUP tea alice bob\nCHAT/1.0 SEND alice psst\n")
        terminal.wait_for_line("<bob> psst")
        terminal.type(f"{keys}a secret")
        terminal.wait_for_prompt("alice: /msg bob a secret")
        # In the meantime the last message comes from somewhere else.
        bob.write(b"CHAT/1.0 BROADCAST tea hi\n")
        terminal.wait_for_line("#tea <bob> hi")
        terminal.type("\r")
        terminal.wait_for_line("-> bob: a secret")
        terminal.type("/reply hi, all\r")
        terminal.wait_for_line("-> group tea: hi, all")
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice a secret\n"
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi, all\n"


def test_a_reply_from_the_menu_of_commands(bob: SocketClient, path: str) -> None:
    with open_chat(path) as terminal:
        terminal.wait_for_prompt("alice:")
        bob.write(b"CHAT/1.0 SEND alice psst\n")
        terminal.wait_for_line("<bob> psst")
        terminal.type("/\t")
        terminal.wait_for(lambda lines: lines[-1].split()[:1] == ["/quit"])
        terminal.type("\t\t\t")
        terminal.wait_for(lambda lines: "alice: /msg bob" in lines)
        terminal.type("what?\r")
        terminal.wait_for_line(r"-> bob: what\?")


@pytest.mark.usefixtures("bob")
def test_history(path: str) -> None:
    with open_chat(path, "--to", "bob") as terminal:
        terminal.wait_for_prompt("alice -> bob:")
        terminal.type("one\rtwo\r")
        terminal.wait_for_line("-> bob: two")
        terminal.type("\x1b[A")
        terminal.wait_for_prompt("alice -> bob: two")
        terminal.type("\x1b[A")
        terminal.wait_for_prompt("alice -> bob: one")
        terminal.type("\x1b[B again\r")
        terminal.wait_for_line("-> bob: two again")


def test_control_characters_are_escaped(path: str) -> None:
    policy = Policy(names=NameRule.ANY)
    with (
        run_sync(unix=path, policy=policy),
        SocketClient(f"unix:{path}") as bob,
        open_chat(path) as terminal,
    ):
        bob.login("bob")
        terminal.wait_for_prompt("alice:")
        hostile = "\x1b]0;title\x07\x1b[31mred\x9b2J \u202egnp.exe \\ \u2028"
        bob.write(f"CHAT/1.0 SEND alice {hostile}".encode() + b"\xff\n")
        shown = r"\x1b]0;title\x07\x1b[31mred\x9b2J \u202egnp.exe \ \u2028" + "\ufffd"
        terminal.wait_for_line(re.escape(f"<bob> {shown}"))
        bob.write("CHAT/1.0 LOGIN e\u202eve\nCHAT/1.0 SEND alice hi\n".encode())
        terminal.wait_for_line(re.escape(r"<e\u202eve> hi"))
        # Tab completes such a name, and then it is in the input and in the prompt.
        terminal.type("/to e\t")
        terminal.wait_for_prompt(r"alice: /to e\u202eve")
        terminal.type("\x1b[D\x1b[D\x1b[D!\x7f\r")
        terminal.wait_for_prompt(r"alice -> e\u202eve:")
        terminal.type("it is \x1b[200~\x1b[31m\x1b[201~\\\r")
        terminal.wait_for_line(re.escape(r"-> e\u202eve: it is [31m") + r"\\")
        for each in ("\x1b]0;", "\x1b[31mred", "\x9b", "\u202e", "\u2028"):
            assert each.encode() not in terminal.raw
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice it is [31m\\\n"


@pytest.mark.parametrize(
    "text",
    [
        "C:\\temp",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "Bonjour\u202f! \u4f60\u597d\u3000\u4e16\u754c",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
    ],
    ids=["backslash", "persian", "spaces", "emoji"],
)
def test_honest_text_is_shown_as_it_is(bob: SocketClient, path: str, text: str) -> None:
    # The emulated screen drops characters without a width, and shows each wide one in two cells.
    shown = re.sub("[\u200c\u200d\ufe0f]", "", re.sub("[\u202f\u3000]", " ", text))
    with open_chat(path, "--to", "bob") as terminal:
        terminal.wait_for_prompt("alice -> bob:")
        terminal.type(f"{text}.")
        terminal.wait_for_prompt(f"alice -> bob: {shown}.")
        terminal.type("\x1b[D\x7f\x1b[C!\r")
        assert bob.read_line() == f"CHAT/1.0 RECEIVE alice {text[:-1]}.!\n".encode()
        bob.write(f"CHAT/1.0 SEND alice {text}\n".encode())
        terminal.wait_for_line(re.escape(f"<bob> {shown}"))


def test_the_input_shows_names_strictly_and_text_as_it_is(bob: SocketClient, path: str) -> None:
    with open_chat(path) as terminal:
        terminal.wait_for_prompt("alice:")
        terminal.type("/msg b\ufe0f\\b a\u200db \u200d\\\u3000\u202e")
        terminal.wait_for_prompt(r"alice: /msg b\ufe0f\\b ab \u200d\ \u202e")
        # To the start of the text, one character at a time, and to its end.
        terminal.type("\x1b[D" * 8 + "<\x05>\r")
        terminal.wait_for_line(re.escape(r"! -> b\ufe0f\\b: <ab \u200d\ \u202e>"))
        bob.flush("bob")


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("日本語 wide", 11),
        ("שלום עולם", 9),
        ("مرحبا", 5),
        ("cafe\u0301 u\u0308ber", 9),
    ],
    ids=["wide", "hebrew", "arabic", "combining"],
)
def test_other_scripts(bob: SocketClient, path: str, text: str, cells: int) -> None:
    # The emulated screen composes characters.
    shown = unicodedata.normalize("NFC", text)
    with open_chat(path, "--to", "bob") as terminal:
        terminal.wait_for_prompt("alice -> bob:")
        terminal.type(text)
        bob.write(f"CHAT/1.0 SEND alice {text}\n".encode())
        terminal.wait_for_line(f"<bob> {shown}")
        terminal.wait_for_prompt(f"alice -> bob: {shown}")
        terminal.wait_for(lambda _: terminal.screen.cursor.x == len("alice -> bob: ") + cells)
        terminal.type("x\x7f\x01>\r")
        terminal.wait_for_line(f"-> bob: >{shown}")
    assert bob.read_line().decode() == f"CHAT/1.0 RECEIVE alice >{text}\n"


def test_pasting_several_lines(bob: SocketClient, path: str) -> None:
    with open_chat(path, "--to", "bob") as terminal:
        terminal.wait_for_prompt("alice -> bob:")
        terminal.paste("/quit\n\n  two\r\n\t/msg carol x\n//three\n")
        # Nothing is sent before the user presses Enter.
        terminal.wait_for(lambda lines: lines[-1].strip() == "//three")
        terminal.type("\r")
        terminal.wait_for_prompt("alice -> bob:")
        terminal.wait_for_line("-> bob: //three")
        # Control characters do not leave.
        terminal.paste("a\tb\x00\x07\x1a\x7f\x9b c\u2028d\x0be\x85f")
        # What is shown is what will be sent.
        terminal.wait_for(lambda lines: [each.strip() for each in lines[-3:]] == ["d", "e", "f"])
        terminal.wait_for(lambda lines: lines[-4].strip() == "alice -> bob: a   b c")
        terminal.type("\r")
        received = [bob.read_line() for _ in range(9)]
    text = (b"/quit", b"", b"  two", b"    /msg carol x", b"//three")
    cleaned = (b"a   b c", b"d", b"e", b"f")
    assert received == [b"CHAT/1.0 RECEIVE alice %b\n" % line for line in (*text, *cleaned)]


def test_many_lines_are_sent_when_the_user_says_so_twice(bob: SocketClient, path: str) -> None:
    # More than the terminal has rows.
    lines = "one\ntwo\nthree\n" + "four\n" * 30 + "five"
    with open_chat(path) as terminal:
        terminal.wait_for_prompt("alice:")
        terminal.type("/msg bob ")
        terminal.paste(lines)
        terminal.type("\r")
        terminal.wait_for_line(r"\* these are 34 lines: Enter once more sends them, Ctrl-C .*")
        terminal.type("\x03")
        terminal.wait_for_prompt("alice:")
        terminal.type("/msg bob ")
        terminal.paste(lines)
        # What was asked is not asked again.
        terminal.type(" and a half\r")
        terminal.wait_for(lambda shown: sum("34 lines" in line for line in shown) == 2)
        terminal.type("\r")
        terminal.wait_for_line("-> bob: five and a half")
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice one\n"


def test_no_control_character_leaves(bob: SocketClient, path: str) -> None:
    """Neither by a key, nor by a key that is to be taken literally."""
    with open_chat(path, "--to", "bob") as terminal:
        terminal.wait_for_prompt("alice -> bob:")
        # Ctrl-C, Ctrl-D and Ctrl-Z end or stop it.
        keys = [chr(code) for code in (*range(32), *range(127, 160)) if code not in (3, 4, 26)]
        for key in keys:
            # The first Enter may only end a search.
            terminal.type(f"x{key}y\r\rx\x11{key}y\r\r")
        terminal.type("last\r")
        received: list[str] = []
        while not received or received[-1] != "last":
            line = bob.read_line().decode()
            received.append(line.removeprefix("CHAT/1.0 RECEIVE alice ").removesuffix("\n"))
    assert len(received) > len(keys)
    assert all(each.isprintable() for each in received)


def test_names_that_are_wider_than_the_terminal(path: str) -> None:
    name, other = "n" * 64, "名" * 21
    with run_sync(unix=path), open_chat(path, columns=20) as terminal:
        terminal.wait_for_prompt("alice:")
        terminal.type(f"/nick {name}\r/to {other}\r")
        terminal.wait_for_prompt("...名名:")
        terminal.type("seen")
        terminal.wait_for_prompt("...名名: seen")


def test_nick(path: str) -> None:
    policy = Policy(duplicate_login=DuplicateLogin.REJECT)
    with run_sync(unix=path, policy=policy), SocketClient(f"unix:{path}") as bob:
        bob.login("bob")
        with open_chat(path) as terminal:
            terminal.wait_for_prompt("alice:")
            terminal.type("/nick bob\r")
            terminal.wait_for_line("! somebody else is bob, and gets what is sent to that name.*")
            terminal.wait_for_prompt("alice:")
            terminal.type("/nick bob\r")
            terminal.wait_for_line("! NAME_IN_USE: .*")
            terminal.wait_for_prompt("alice:")
            terminal.type("/nick *bob\r")
            terminal.wait_for_line("! NAME_RESERVED: .*")
            terminal.type("/nick carol\r")
            terminal.wait_for_line(r"\* you are carol")
            terminal.wait_for_prompt("carol:")


@pytest.mark.usefixtures("bob")
def test_help_and_ping(path: str) -> None:
    with open_chat(path) as terminal:
        terminal.wait_for_prompt("alice:")
        terminal.type("/help\r")
        terminal.wait_for_line(r"\* /quit +log out")
        assert all(re.match(r"\d\d:\d\d \* ", line) for line in terminal.lines[:-1])
        terminal.type("/ping\r")
        terminal.wait_for_line(r"\* to the server and back: \d+\.\d ms")


def test_ctrl_c_clears_the_line(bob: SocketClient, path: str) -> None:
    with open_chat(path, "--to", "bob") as terminal:
        terminal.wait_for_prompt("alice -> bob:")
        terminal.type("oops\x03right\r")
        terminal.wait_for_line("-> bob: right")
    assert bob.read_line() == b"CHAT/1.0 RECEIVE alice right\n"


def test_typing_while_many_messages_arrive(bob: SocketClient, path: str) -> None:
    letters = "the quick brown fox jumps over the lazy dog"
    with open_chat(path, "--to", "bob") as terminal:
        terminal.wait_for_prompt("alice -> bob:")
        for number, letter in enumerate(letters):
            bob.write(b"CHAT/1.0 SEND alice %d\n" % number * 20)
            terminal.type(letter)
            terminal.wait_for_line(f"<bob> {number}")
        terminal.wait_for_prompt(f"alice -> bob: {letters}")
        assert all(re.fullmatch(r"\d\d:\d\d <bob> \d+", line) for line in terminal.lines[:-1])
        bob.write(b"CHAT/1.0 SEND alice %d\n" % 1000 * 5000)
        terminal.type("\r")
        # The line that shows it may scroll off the screen at once, so the test asks bob.
        assert bob.read_line() == f"CHAT/1.0 RECEIVE alice {letters}\n".encode()
        terminal.kill(signal.SIGTERM)
        assert terminal.wait_for_end() == 0
        assert terminal.is_as_before


def test_the_terminal_does_not_echo() -> None:
    """Not even while prompt_toolkit prints lines, for which it would turn echo on."""
    main, side = pty.openpty()
    with open(main, "wb"), open(side) as stdin:  # noqa: PTH123
        keyboard = RawInput(stdin)
        with keyboard.raw_mode(), keyboard.cooked_mode():
            assert not termios.tcgetattr(side)[3] & termios.ECHO
