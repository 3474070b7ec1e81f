"""`environment`: variables that look like an option's, and are none."""

import click
import pytest

from chatproto_anyio.cli.serve import SERVE_OPTIONS
from chatproto_sync.service.environment import CLIENT_VARIABLES, ELSEWHERE, unknown_variables
from chatproto_sync.service.options import OPTIONS

from ..cli.commands import subcommands

KNOWN = {option.variable for option in SERVE_OPTIONS}


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("CHATPROTO_MAX_LIEN", "CHATPROTO_MAX_LINE"),
        ("CHATPROTO_MAXLINE", "CHATPROTO_MAX_LINE"),
        ("CHATPROTO_MAX_CONECTIONS", "CHATPROTO_MAX_CONNECTIONS"),
        ("CHATPROTO_port", "CHATPROTO_PORT"),
        ("CHATPROTO_TLS_CRT", "CHATPROTO_TLS_CERT"),
        ("CHATPROTO_XYZZY", None),
    ],
)
def test_a_misspelt_variable(variable: str, nearest: str | None) -> None:
    [warning] = unknown_variables({variable: "1"}, KNOWN)
    expected = f"; is it {nearest}?" if nearest else ""
    assert warning == f"ignoring {variable}: there is no such option{expected}"


def test_others_are_no_matter() -> None:
    others = {
        "PATH": "/bin",
        "_CHATPROTO_COMPLETE": "bash_source",
        "CHATPROTO_PORT": "1",
        # What Kubernetes sets for services called chatproto and chatproto-metrics.
        "CHATPROTO_SERVICE_HOST": "10.0.0.1",
        "CHATPROTO_SERVICE_PORT": "3333",
        "CHATPROTO_SERVICE_PORT_CHAT": "3333",
        "CHATPROTO_PORT_3333_TCP": "tcp://10.0.0.1:3333",
        "CHATPROTO_PORT_3333_TCP_ADDR": "10.0.0.1",
        "CHATPROTO_METRICS_SERVICE_HOST": "10.0.0.2",
        "CHATPROTO_METRICS_PORT": "tcp://10.0.0.2:9333",
        "CHATPROTO_OTHER_PORT": "tcp://10.0.0.3:1",
    }
    assert list(unknown_variables(others, KNOWN)) == []


def test_all_variables_of_all_commands_are_known() -> None:
    assert KNOWN - {option.variable for option in OPTIONS} == {ELSEWHERE}
    commands = subcommands()
    for name in ("chat", "listen", "send"):
        options = [each for each in commands[name].params if isinstance(each, click.Option)]
        assert {each.envvar for each in options if each.envvar} == {*CLIENT_VARIABLES}
