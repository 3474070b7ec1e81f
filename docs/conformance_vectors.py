"""Write the transcripts of `chatproto.conformance` as JSON, for programs in other languages."""

import json
from pathlib import Path
from typing import Final

from chatproto.conformance import Side, load

FOLDER: Final = Path(__file__).parents[1] / "chatproto" / "conformance" / "vectors"
"""The files in the repository. The wheel has them too."""


def vectors(side: Side) -> str:
    """The rows and transcripts that check one side, as JSON with one step a line."""
    data = load(side).vectors()
    transcripts = data.pop("transcripts")
    lines = [json.dumps(data, indent=1).removesuffix("\n}") + ',\n "transcripts": [']
    for each in transcripts:
        steps = each.pop("steps")
        lines.append("  " + json.dumps(each).removesuffix("}") + ', "steps": [')
        lines += [f"   {json.dumps(step)}," for step in steps[:-1]]
        lines += [f"   {json.dumps(steps[-1])}", "  ]},"]
    lines[-1] = "  ]}"
    return "\n".join([*lines, " ]", "}", ""])


def write(folder: Path) -> None:
    """Write both files."""
    folder.mkdir(exist_ok=True)
    for side in Side:
        (folder / f"{side.value}.json").write_text(vectors(side), encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER)
