"""Environment variables that look like an option's, but are for another program."""

import re
from typing import Final

_SERVICE_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://")


def why_ignored(variable: str, text: str) -> str | None:
    """Why the value of a variable is ignored, as a warning for people; None if it is not."""
    if variable.endswith("_PORT") and _SERVICE_ADDRESS.match(text):
        return (
            f"ignoring {variable}={text}: Kubernetes sets this for a service of that name;"
            " set a number, or enableServiceLinks: false in the pod"
        )
    return None
