"""Print the notes of this version from CHANGELOG.md: the text of its release.

With a tag as argument, it must be this version's, as `v1.0.0`, and the section must have a date.
"""

import re
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def notes(changelog: str, version: str) -> tuple[str, str]:
    """What stands behind a version in its heading, and the text below that.

    Raises:
        ValueError: There is no such section, or nothing in it.
    """
    pattern = rf"^## \[{re.escape(version)}\](?: - (?P<date>[^\n]*))?\n(?P<text>.*?)(?=^## |\Z)"
    section = re.search(pattern, changelog, re.MULTILINE | re.DOTALL)
    if section is None or not section["text"].strip():
        raise ValueError(f"CHANGELOG.md has no section for {version}")
    return section["date"] or "", section["text"].strip()


def main(arguments: list[str]) -> None:
    """Print the notes, or exit with what is missing."""
    version = str(runpy.run_path(str(ROOT / "chatproto" / "_version.py"))["__version__"])
    try:
        date, text = notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    except ValueError as error:
        sys.exit(str(error))
    for tag in arguments:
        if tag != f"v{version}":
            sys.exit(f"the tag is {tag}, but the version in chatproto/_version.py is {version}")
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
            sys.exit(f"the section for {version} in CHANGELOG.md has no date")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
