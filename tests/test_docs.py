"""The documents: their snippets run, their names exist, their drawings are up to date."""

import ast
import contextlib
import importlib
import re
import runpy
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
from anyio import create_task_group, to_thread

import chatproto_anyio
import chatproto_sync
from chatproto import TRANSITIONS, ChatBroker, ErrorCode
from chatproto.conformance import Kind, Side, load
from chatproto_anyio.cli.chat.parsing import USAGES

from .adapters.cli.commands import subcommands
from .adapters.servers import clients, run_sync
from .adapters.sockets.insides import ServerLog, server_log

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
TEXTS = [*PAGES, *(ROOT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY"))]

COMMANDS = (
    "python3 -m venv .venv && .venv/bin/pip install '.[server]' && .venv/bin/chatproto serve",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest",
)

# Readers do not see the comment.
BLOCK = re.compile(
    r"^(?P<bot><!-- a bot that answers -->\n)?```python\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
TURN = re.compile(
    r"^(alice|bob|carol) (pastes|sees)(, and so does (?P<other>\w+))?[^\n]*:\n\n"
    r"```text\n(?P<lines>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
DIRECTIVE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
ROW = re.compile(r"^\| (.*) \| (.*) \| (.*) \|$", re.MULTILINE)
HERE = re.compile(r"K( \([A-Z_]+\)|, .+)?|F(: .+)?|P: .+")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def page_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the page's Python blocks, and whether each is a bot.

    Empty lines before each block give it its line numbers in the page, for tracebacks.
    """
    text = text_of(path)
    for match in BLOCK.finditer(text):
        lines_above = text.count("\n", 0, match.start("code"))
        yield "\n" * lines_above + match["code"], match["bot"] is not None


def bots_of(path: Path) -> list[str]:
    """The page's bots, without the empty lines before them."""
    return [block.lstrip("\n") for block, is_bot in blocks_of(path) if is_bot]


PAGES_WITH_PYTHON = [path for path in PAGES if "```python" in text_of(path)]


@pytest.mark.parametrize("path", PAGES_WITH_PYTHON, ids=page_name)
def test_snippets_run(path: Path, tmp_path: Path) -> None:
    blocks = list(blocks_of(path))
    assert len(blocks) == text_of(path).count("```python")
    assert sum(is_bot for _, is_bot in blocks) == text_of(path).count("<!-- a bot")
    namespace: dict[str, object] = {"__name__": "snippet"}
    for number, (block, is_bot) in enumerate(blocks):
        path_of_server = tmp_path / f"chat{number}"
        visitor = visited(path_of_server, knows_who='b"who"' in block)
        with visitor if is_bot else contextlib.nullcontext():
            exec(compile(block, page_name(path), "exec"), namespace)


@contextlib.contextmanager
def visited(path: Path, *, knows_who: bool) -> Iterator[None]:
    """Run a server for a bot that connects to the default address, and restart it once.

    Both servers keep their groups in the same file. Clients visit the bot before and after the
    restart. Then the bot's client is closed, which ends its loop.

    Args:
        path: The server's Unix socket.
        knows_who: Whether the bot answers `who` too.
    """
    visits = 0
    serve = partial(run_sync, unix=path, state=path.with_suffix(".groups"))
    with server_log() as log, ExitStack() as first, pytest.MonkeyPatch.context() as patch:
        first.enter_context(serve())

        def visit_twice(name: str) -> None:
            nonlocal visits
            visit(path, name, log, make_group=True, knows_who=knows_who)
            first.close()
            with serve():
                visit(path, name, log, make_group=False, knows_who=knows_who)
            visits += 1

        connect, connect_async = chatproto_sync.connect, chatproto_anyio.connect

        @contextlib.contextmanager
        def connect_here(**options: Any) -> Iterator[chatproto_sync.Client]:
            with connect(unix=path, **options) as chat, ThreadPoolExecutor(1) as pool:
                visiting = pool.submit(visit_twice, chat.name)
                visiting.add_done_callback(lambda _: chat.close())
                yield chat
            visiting.result()

        @contextlib.asynccontextmanager
        async def connect_here_async(**options: Any) -> AsyncIterator[chatproto_anyio.Client]:
            async with connect_async(unix=path, **options) as chat, create_task_group() as tasks:

                async def visit_and_close() -> None:
                    await to_thread.run_sync(visit_twice, chat.name)
                    await chat.close()

                tasks.start_soon(visit_and_close)
                yield chat

        patch.setattr(chatproto_sync, "connect", connect_here)
        patch.setattr(chatproto_anyio, "connect", connect_here_async)
        yield
    assert visits == 1


def visit(path: Path, name: str, log: ServerLog, *, make_group: bool, knows_who: bool) -> None:
    """Ask a bot that has just logged in, in private and in a group: it answers there."""
    log.wait_for_one(f"logged in {name} ")
    with clients(f"unix:{path}", "alice", "bob") as (alice, bob):
        if make_group:
            alice.write(f"CHAT/1.0 GROUP tea alice bob {name}\n".encode())
        answer = f"CHAT/1.0 RECEIVE {name} pong\n".encode()
        alice.write(f"CHAT/1.0 SEND {name} ping\n".encode())
        assert alice.read_line() == answer
        # What is in tea goes to bob too, and nothing else has.
        bob.flush("bob")
        alice.write(b"CHAT/1.0 BROADCAST tea ping\n")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice ping\n"
        assert bob.read_line() == alice.read_line() == answer
        if knows_who:
            alice.write(b"CHAT/1.0 BROADCAST tea who\n")
            answer = f"CHAT/1.0 RECEIVE {name} alice, bob, {name}\n".encode()
            assert alice.read_line() == answer


def test_the_bots_in_the_readme_are_as_short_as_it_says() -> None:
    bots = bots_of(README)
    assert "A bot in ten lines" in text_of(README)
    assert len(bots) == 2
    for bot in bots:
        assert len([line for line in bot.splitlines() if line.strip()]) <= 10


def test_pages_show_the_bots_of_the_readme() -> None:
    blocking, on_asyncio = bots_of(README)
    assert bots_of(DOCS / "index.md") == [blocking]
    assert bots_of(DOCS / "how-to" / "write-a-bot.md") == [blocking, on_asyncio]
    first, taught = bots_of(DOCS / "tutorial.md")
    assert first == blocking
    assert "Add the last two lines of" in text_of(DOCS / "tutorial.md")
    assert taught.splitlines()[:-2] == first.splitlines()


def test_page_about_clients_shows_the_client_that_is_checked() -> None:
    page = text_of(DOCS / "how-to" / "check-a-client.md")
    assert f"```py\n{text_of(ROOT / 'examples' / 'checked_client.py')}```\n" in page


def test_pages_include_files_that_exist() -> None:
    for path in PAGES:
        # Ruff formats the blocks of Python in a page, and with that the marks.
        assert "--8 <" not in text_of(path)
        for name in re.findall(r'^--8<-- "(.+)"$', text_of(path), re.MULTILINE):
            assert (DOCS / name).is_file() or (ROOT / name).is_file(), name


def test_the_important_pages_have_snippets() -> None:
    assert {page_name(path) for path in PAGES_WITH_PYTHON} >= {
        "README.md",
        "docs/index.md",
        "docs/tutorial.md",
        "docs/how-to/write-a-bot.md",
        "docs/how-to/survive-restarts.md",
        "docs/how-to/embed-the-server.md",
        "docs/how-to/use-the-core.md",
        "docs/protocol.md",
        "docs/states.md",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_has_the_command_in_its_own_block(command: str) -> None:
    assert f"\n```sh\n{command}\n```\n" in text_of(README)


def test_readme_session_is_what_the_server_says() -> None:
    broker: ChatBroker[str] = ChatBroker()
    broker.tick(0.0)
    for user in ("alice", "bob", "carol"):
        broker.connect(user, "nc")
    turns = list(TURN.finditer(text_of(README)))
    assert {turn[2] for turn in turns} == {"pastes", "sees"}
    for turn in turns:
        lines = turn["lines"].encode()
        if turn[2] == "pastes":
            broker.receive(turn[1], lines)
            continue
        for user in filter(None, (turn[1], turn["other"])):
            assert broker.next_step(user).write == lines
            broker.sent(user, len(lines))
    assert not any(broker.next_step(user).write for user in ("alice", "bob", "carol"))
    assert broker.next_step("bob").half_close


@pytest.mark.parametrize(
    "module",
    [
        "chatproto",
        "chatproto_sync",
        "chatproto_anyio",
        "chatproto.testing",
        "chatproto.conformance",
    ],
)
def test_reference_has_every_public_name(module: str) -> None:
    documented = [
        name for path in (DOCS / "api").glob("*.md") for name in DIRECTIVE.findall(text_of(path))
    ]
    public = [f"{module}.{name}" for name in importlib.import_module(module).__all__]
    others = {"chatproto.testing", "chatproto.conformance"}  # Pages, not names.
    assert sorted(public) == sorted(
        name for name in documented if name.rpartition(".")[0] == module and name not in others
    )


def test_commands_are_documented() -> None:
    page = text_of(DOCS / "reference" / "commands.md")
    names = re.findall(r"^\| \[`chatproto (\w+)`\]", page, re.MULTILINE)
    assert sorted(names) == sorted(subcommands())


def test_chat_commands_are_documented() -> None:
    page = text_of(DOCS / "how-to" / "use-the-terminal.md")
    rows = re.findall(r"^\| `(/.+?)` \|", page, re.MULTILINE)
    assert rows == [f"{name} {usage.arguments}".rstrip() for name, usage in USAGES.items()]


def test_every_page_is_in_the_navigation() -> None:
    navigation = text_of(ROOT / "mkdocs.yml").partition("\nnav:\n")[2].partition("\n\n")[0]
    pages = re.findall(r"^ *- (?:[^:\n]+: )?(\S+\.md)$", navigation, re.MULTILINE)
    assert sorted(pages) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_drawing_is_up_to_date() -> None:
    script = runpy.run_path(str(DOCS / "state_diagram.py"))
    assert script["SVG"] == DOCS / "states.svg"
    assert text_of(DOCS / "states.svg") == script["diagram"]()


def test_drawing_has_an_arrow_for_every_transition() -> None:
    script = runpy.run_path(str(DOCS / "state_diagram.py"))
    expected = {
        (before, sender, after, event)
        for before, senders in TRANSITIONS.items()
        for sender, row in senders.items()
        for event, after in row.items()
    }
    words = [word for words in script["arrows"]().values() for word in words]
    assert len(words) == len(expected)


def test_script_writes_the_drawing(tmp_path: Path) -> None:
    script = tmp_path / "state_diagram.py"
    script.write_text(text_of(DOCS / "state_diagram.py"), encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")
    assert text_of(tmp_path / "states.svg") == text_of(DOCS / "states.svg")


def test_man_pages_are_up_to_date() -> None:
    script = runpy.run_path(str(DOCS / "man_pages.py"))
    pages = {path.name: text_of(path) for path in (DOCS / "man").iterdir()}
    assert pages == script["pages"](), "run .venv/bin/python docs/man_pages.py"


def test_script_writes_the_man_pages(tmp_path: Path) -> None:
    script = tmp_path / "man_pages.py"
    script.write_text(text_of(DOCS / "man_pages.py"), encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")
    for path in (DOCS / "man").iterdir():
        assert text_of(tmp_path / "man" / path.name) == text_of(path)


def test_every_command_and_option_is_in_a_man_page() -> None:
    assert r"chatproto\-serve" in text_of(DOCS / "man" / "chatproto.1")
    for name, command in subcommands().items():
        page = text_of(DOCS / "man" / f"chatproto-{name}.1").replace("\\-", "-")
        options = [each for each in command.params if isinstance(each, click.Option)]
        assert len(options) >= 3
        for option in options:
            assert f".TP\n\\fB{option.opts[0]}\\fR" in page


def test_man_pages_show_what_means_something_to_man() -> None:
    script = runpy.run_path(str(DOCS / "man_pages.py"))
    roff = script["roff"]
    assert roff(".TH is no request\n'nor this") == "\\&.TH is no request\n\\(aqnor this"
    assert roff("--tls and `\\x1b`") == "\\-\\-tls and \\fB\\ex1b\\fR"
    assert roff("`#tea\n<bob>` or `!`") == "\\fB#tea\n<bob>\\fR or \\fB!\\fR"
    for path in (DOCS / "man").iterdir():
        assert "`" not in text_of(path)


def test_drawing_of_a_message_is_up_to_date() -> None:
    script = runpy.run_path(str(DOCS / "message_diagram.py"))
    assert script["SVG"] == DOCS / "message.svg"
    assert text_of(DOCS / "message.svg") == script["diagram"](), (
        "run .venv/bin/python docs/message_diagram.py"
    )


def test_plot_of_servers_is_up_to_date() -> None:
    script = runpy.run_path(str(DOCS / "servers_plot.py"))
    assert script["SVG"] == DOCS / "plots" / "servers.svg"
    names, loads = script["speeds"]()
    assert names[0] == "chatproto"
    assert len(loads) == 3
    assert text_of(DOCS / "plots" / "servers.svg") == script["drawing"](), (
        "run .venv/bin/python docs/servers_plot.py"
    )


def test_picture_of_the_terminal_is_what_chat_shows() -> None:
    script = runpy.run_path(str(DOCS / "terminal_picture.py"))
    assert script["SVG"] == DOCS / "terminal.svg"
    assert text_of(DOCS / "terminal.svg") == script["picture"](), (
        "run .venv/bin/python docs/terminal_picture.py"
    )


def classes() -> dict[str, set[str]]:
    """The classes of all packages by name, each with its members."""
    found: dict[str, set[str]] = {}
    for package in ("chatproto", "chatproto_sync", "chatproto_anyio"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(text_of(path))):
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, set()).update(members(node))
    return found


def members(of: ast.ClassDef) -> Iterator[str]:
    """The names that a class defines or assigns."""
    for node in ast.walk(of):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.Name(id=name, ctx=ast.Store())
                | ast.Attribute(attr=name, ctx=ast.Store())
            ):
                yield name


def test_architecture_page_names_what_exists() -> None:
    page, known = text_of(DOCS / "architecture.md"), classes()
    paths = re.findall(r"`((?:\w+/)+[\w.]*)`", page)
    assert len(paths) > 20
    for path in paths:
        assert (ROOT / path).exists() or (ROOT / "chatproto" / path).exists(), path
    names = re.findall(r"`([A-Z]\w*[a-z]\w*)(?:\.(\w+))?`", page)
    assert len(names) > 60
    for name, member in names:
        assert name in known, name
        assert not member or member in known[name], (name, member)


def test_drawing_of_the_parts_names_classes_that_exist() -> None:
    names = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", text_of(DOCS / "architecture.svg")))
    assert names >= {"ChatBroker", "ChatConnection", "ChatHub", "ChatSession", "FastPath"}
    assert names <= classes().keys()


def section(number: int) -> str:
    """A section of protocol.md, without its heading."""
    _, found, rest = text_of(DOCS / "protocol.md").partition(f"\n## {number}. ")
    assert found
    return rest.partition("\n## ")[0]


def test_protocol_has_the_sections_that_docstrings_cite() -> None:
    numbers = re.findall(r"^## (.*)$", text_of(DOCS / "protocol.md"), re.MULTILINE)
    assert [each.split(". ")[0] for each in numbers] == ["1", "2", "3", "4", "5"]


def test_page_about_clients_has_the_rows_that_are_checked() -> None:
    rows = re.findall(
        r"^\| ([KFP]) \| (.+?) \|", text_of(DOCS / "how-to" / "check-a-client.md"), re.MULTILINE
    )
    assert rows == [(each.label, each.text) for each in load(Side.CLIENT).rows]


def test_page_about_transcripts_has_each_kind_of_step() -> None:
    kinds = re.findall(
        r"^\| \S.* \| `([a-z-]+)` \|", text_of(DOCS / "reference" / "transcripts.md"), re.MULTILINE
    )
    assert set(kinds) == {each.value for each in Kind}


def test_conformance_table_labels_each_case() -> None:
    head, _rule, *rows = ROW.findall(section(4))
    assert head == ("input to the reference server", "what it did", "here")
    assert len(rows) >= 35
    for given, _then, here in rows:
        assert HERE.fullmatch(here), given
    assert {here[0] for _, _, here in rows} == {"K", "F", "P"}


def test_conformance_table_and_list_of_codes_name_real_codes() -> None:
    assert re.findall(r"^\| ([A-Z_]+) \|", section(3), re.MULTILINE) == [*ErrorCode]
    for code in re.findall(r"\| (?:K \(|F: )([A-Z_]{4,})\b", section(4)):
        assert code in [*ErrorCode]


@pytest.mark.parametrize("path", TEXTS, ids=page_name)
def test_instructions_install_our_distribution(path: Path) -> None:
    assert not re.search(r"pip install\s+['\"]?chatproto(?!-sansio)", text_of(path))


@pytest.mark.parametrize("path", TEXTS, ids=page_name)
def test_links_between_files_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(path)):
        assert (path.parent / target).is_file(), target
