"""The import contracts in pyproject.toml: each of them holds, and each can fail. Private names."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import chatproto

ROOT = Path(chatproto.__file__).parents[1]
PACKAGES = ("chatproto", "chatproto_sync", "chatproto_anyio")
CONTRACTS = [
    each["name"]
    for each in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
]

# One line for each contract, in the same order: it breaks the contract.
PLANTED = [
    ("chatproto/wire/codec.py", "from chatproto.routing import hub"),
    ("chatproto/client/ping.py", "from chatproto.server import broker"),
    ("chatproto_sync/sockets/waker.py", "import chatproto_anyio.streams"),
    ("chatproto/routing/hub.py", "import time"),
    ("chatproto/client/session.py", "import hypothesis"),
    ("chatproto/conformance/play.py", "from chatproto.wire import codec"),
    ("chatproto_sync/client/client.py", "from chatproto_sync.server import server"),
    ("chatproto_anyio/server/server.py", "from chatproto_anyio.client import client"),
    ("chatproto_anyio/client/client.py", "from chatproto_sync.client import deadline"),
    ("chatproto_anyio/streams.py", "import click"),
    ("chatproto_anyio/cli/listen.py", "import prompt_toolkit"),
    ("chatproto_sync/sockets/driver.py", "import prometheus_client"),
]


def lint(folder: Path) -> tuple[int, str]:
    """Check the packages in a folder. Returns the exit status and the report."""
    run = subprocess.run(
        [
            *(
                sys.executable,
                "-c",
                "from importlinter.cli import lint_imports_command as run; run()",
            ),
            *("--config", "pyproject.toml", "--no-cache"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout


def test_the_contracts_hold() -> None:
    status, output = lint(ROOT)
    assert status == 0, output


def test_each_contract_fails_when_a_line_breaks_it(tmp_path: Path) -> None:
    # The other tests, beside this one, make files there that are gone a moment later.
    no_caches = shutil.ignore_patterns("__pycache__")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=no_caches)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, line in PLANTED:
        path = tmp_path / file
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    status, output = lint(tmp_path)
    assert status == 1
    assert len(PLANTED) == len(CONTRACTS)
    for name in CONTRACTS:
        assert f"{name} BROKEN" in output


def private_imports(source: str) -> list[str]:
    """Return the private names that a file imports from other folders of this project."""
    return [
        name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
        for module in [node.module or ""]
        if node.level > 1 or (node.level == 0 and module.startswith(PACKAGES))
        for name in [*module.split("."), *(each.name for each in node.names)]
        if name.startswith("_") and not name.startswith("__")
    ]


def test_no_private_name_crosses_a_folder() -> None:
    # That nobody reaches into another object is for ruff (SLF001).
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            assert private_imports(path.read_text(encoding="utf-8")) == [], path


def test_private_names_would_be_noticed() -> None:
    assert private_imports("from ..wire.codec import _PARSERS, decode") == ["_PARSERS"]
    assert private_imports("from chatproto._version import __version__") == ["_version"]
    assert private_imports("from ._version import __version__") == []
