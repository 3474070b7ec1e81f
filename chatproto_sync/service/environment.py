"""Environment variables that look like an option's, but are none, or are for another program."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

PREFIX: Final = "CHATPROTO_"
"""The beginning of each variable that stands for an option."""

CLIENT_VARIABLES: Final = tuple(
    f"{PREFIX}{name}"
    for name in (
        "HOST",
        "PORT",
        "UNIX",
        "TLS",
        "TLS_CA",
        "TLS_CERT",
        "TLS_KEY",
        "TLS_KEY_PASSWORD_FILE",
    )
)
"""The variables of the commands `chat`, `listen` and `send`."""

ELSEWHERE: Final = f"{PREFIX}BACKEND"
"""The variable that only `chatproto serve` knows."""

_SERVICE_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://")

_OF_A_SERVICE: Final = re.compile(
    r"(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_ADDR|_PORT|_PROTO)?)\Z"
)
"""The ends of what Kubernetes sets for a service that is called like the command."""


def why_ignored(variable: str, text: str) -> str | None:
    """Why the value of a variable is ignored, as a warning for people; None if it is not."""
    if variable.endswith("_PORT") and _SERVICE_ADDRESS.match(text):
        return (
            f"ignoring {variable}={text}: Kubernetes sets this for a service of that name;"
            " set a number, or enableServiceLinks: false in the pod"
        )
    return None


def unknown_variables(environment: Mapping[str, str], known: Collection[str]) -> Iterable[str]:
    """Warnings for people about variables that look like an option's, but are none.

    Args:
        environment: The environment variables.
        known: The variables that there are.
    """
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in known or _OF_A_SERVICE.search(variable):
            continue
        if _SERVICE_ADDRESS.match(environment[variable]):
            continue
        # Imported here, because it takes time, and is rarely needed.
        from difflib import get_close_matches

        close = get_close_matches(variable.removeprefix(PREFIX).upper(), _names(known), n=1)
        words = f"; is it {PREFIX}{close[0]}?" if close else ""
        yield f"ignoring {variable}: there is no such option{words}"


def _names(variables: Iterable[str]) -> list[str]:
    return [each.removeprefix(PREFIX) for each in variables]
