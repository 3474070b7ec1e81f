"""Every module of `chatproto`, imported alone, loads nothing that does I/O."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import chatproto

ROOT = Path(chatproto.__file__).parents[1]

# Not `time` and `os`: each interpreter has the one, and `dataclasses` imports the other. That no
# module of `chatproto` imports them is an import contract.
FORBIDDEN = {
    "anyio",
    "asyncio",
    "concurrent",
    "logging",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "ssl",
    "threading",
}


def name_of(path: Path) -> str:
    """Return the module that a file holds."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = [
    name
    for name in sorted(map(name_of, (ROOT / "chatproto").rglob("*.py")))
    # The command does I/O, and Hypothesis loads half of the standard library.
    if name != "chatproto.__main__" and not name.startswith("chatproto.testing")
]


def loaded_after(statement: str) -> set[str]:
    """Return the modules that a new interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    # Without `site`, which would load coverage and with it half of the standard library.
    command = [sys.executable, "-S", "-c", code]
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return set(run.stdout.split())


@cache
def loaded_at_first() -> set[str]:
    return loaded_after("pass")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_loads_nothing_that_does_io(module: str) -> None:
    loaded = loaded_after(f"import {module}") - loaded_at_first()
    assert module in loaded
    assert loaded.isdisjoint(FORBIDDEN)


def test_forbidden_modules_would_be_noticed() -> None:
    loaded = loaded_after(f"import {', '.join(FORBIDDEN - {'anyio'})}") - loaded_at_first()
    assert loaded >= FORBIDDEN - {"anyio"}
