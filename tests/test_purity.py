"""Every module of `chatproto`, imported alone: nothing that touches the world comes along."""

import pkgutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import chatproto

ROOT = Path(chatproto.__file__).parents[1]

# `time` and `os` are in every interpreter. That nothing imports them is for the import contracts.
WORLDLY = {
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

MODULES = sorted(
    each.name
    for each in pkgutil.walk_packages(chatproto.__path__, "chatproto.")
    # The command is what touches the world, and Hypothesis brings half of the standard library.
    if each.name != "chatproto.__main__" and not each.name.startswith("chatproto.testing")
)


def loaded_after(statement: str) -> set[str]:
    """What a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return set(run.stdout.split())


@cache
def loaded_at_first() -> set[str]:
    return loaded_after("pass")


@pytest.mark.parametrize("module", ["chatproto", *MODULES])
def test_a_module_brings_nothing_of_the_world(module: str) -> None:
    brought = loaded_after(f"import {module}") - loaded_at_first()
    assert module in brought
    assert brought.isdisjoint(WORLDLY)


def test_no_module_is_left_out() -> None:
    files = [
        path
        for path in Path(chatproto.__file__).parent.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py") and path.parent.name != "testing"
    ]
    assert sum(not module.endswith("__init__") for module in MODULES) >= len(files) - 1


def test_the_watch_over_imports_would_notice() -> None:
    brought = loaded_after("import socket, logging, random, ssl, secrets") - loaded_at_first()
    assert {"socket", "selectors", "threading", "logging", "random", "ssl", "secrets"} <= brought
