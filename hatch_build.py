"""Write the README as a package index shows it: there, a link to a file leads nowhere."""

import re
from pathlib import Path
from typing import Any, Final

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK: Final = re.compile(r"\[([^]]+)\]\((?!https:)([^)#]+)[^)]*\)")
"""A link to a file of the project: its text, and the file."""


class Readme(MetadataHookInterface):
    """Sets `project.readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Replace each link to a file: by its name, or by its address in the repository."""
        repository = metadata["urls"].get("Repository")
        replacement = rf"[\1]({repository}/blob/HEAD/\2)" if repository else r"\1 (`\2`)"
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": LINK.sub(replacement, text),
        }
