"""The words that `docs/how-to/troubleshooting.md` tells readers to look for are said somewhere."""

import ast
import errno
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "how-to" / "troubleshooting.md"

OF_OTHERS = {
    *map(os.strerror, (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL)),
    *map(os.strerror, (errno.ECONNREFUSED, errno.EMFILE)),
    # getaddrinfo
    "Name or service not known",
    # OpenSSL
    "unable to get local issuer certificate",
    "peer did not return a certificate",
    # pip, Python
    "externally-managed-environment",
    "No matching distribution found for chatproto-sansio",
    "No module named 'anyio'",
}
"""What the system, OpenSSL, pip and Python say."""


def words() -> list[str]:
    """The words in the first columns, but in the section about what nobody says."""
    said = PAGE.read_text(encoding="utf-8").partition("## Nothing is said")[0]
    return re.findall(r"^\| `([^`]+)` \|", said, re.MULTILINE)


def literals() -> Iterator[str]:
    """All texts in the code, an f-string as its parts."""
    for package in ("chatproto", "chatproto_sync", "chatproto_anyio"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Constant(str(text)):
                        yield text
                    case ast.JoinedStr(parts):
                        yield "".join(
                            str(part.value) if isinstance(part, ast.Constant) else "4096"
                            for part in parts
                        )


def test_the_page_has_what_newcomers_meet() -> None:
    assert len(words()) >= 40
    assert len(set(words())) == len(words())


@cache
def said() -> str:
    """All that somebody says."""
    return "\n".join([*literals(), *OF_OTHERS])


@pytest.mark.parametrize("fragment", words())
def test_somebody_says_it(fragment: str) -> None:
    assert fragment in said()
