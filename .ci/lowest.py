"""Print the oldest version of each package that an extra for users needs, as constraints of pip."""

import tomllib
from pathlib import Path

pyproject = Path(__file__).resolve().parents[1] / "pyproject.toml"
extras = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
for extra in ("anyio", "cluster", "server", "testing"):
    for requirement in extras[extra]:
        # Extras name other extras of this package too.
        if not requirement.startswith("chatproto-sansio"):
            name, version = requirement.split(">=")
            print(f"{name}=={version}")
