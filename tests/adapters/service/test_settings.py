"""`settings`: which value an option has, and the errors that name where it was set."""

import re

import pytest

from chatproto import Limits
from chatproto_sync.service.options import OPTIONS
from chatproto_sync.service.settings import Settings, limits_of, read_settings


def read(*arguments: str, **environment: str) -> Settings:
    """Read arguments such as `port=1`, and variables without their prefix."""
    given: dict[str, list[str]] = {}
    for key, _, text in (each.partition("=") for each in arguments):
        given.setdefault(key, []).append(text)
    variables = {f"CHATPROTO_{name.upper()}": text for name, text in environment.items()}
    return read_settings(OPTIONS, given, variables)


def test_defaults() -> None:
    settings = read()
    assert settings.values == {each.key: each.default for each in OPTIONS}
    assert settings.places == {}
    assert settings.warnings == []
    assert limits_of(settings) == Limits()


def test_the_command_line_is_before_the_environment() -> None:
    settings = read("port=1", port="2", grace="3")
    assert settings.values["port"] == 1
    assert settings.values["grace"] == 3.0
    assert settings.places == {"port": "--port", "grace": "CHATPROTO_GRACE"}


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert read(port="").values["port"] == 3333


def test_an_option_that_can_be_given_several_times() -> None:
    assert read("host=a", "host=::1").values["host"] == ("a", "::1")
    assert read(host="a,::1").values["host"] == ("a", "::1")
    # Not both: one place decides.
    assert read("host=a", host="b").values["host"] == ("a",)


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("yes", True), ("On", True), ("0", False), ("FALSE", False)]
)
def test_flags_in_the_environment(text: str, value: bool) -> None:
    assert read(no_notices=text).values["no_notices"] is value


def test_choices_are_taken_in_any_case() -> None:
    settings = read("policy=Reference", log_format="JSON")
    assert settings.values["policy"] == "reference"
    assert settings.values["log_format"] == "json"


@pytest.mark.parametrize("key", ["port", "metrics_port"])
@pytest.mark.parametrize("text", ["tcp://10.0.0.1:3333", "udp://[fd00::1]:3333"])
def test_what_kubernetes_sets_is_ignored_with_a_warning(key: str, text: str) -> None:
    settings = read(**{key: text})
    assert key not in settings.places
    [warning] = settings.warnings
    assert warning.startswith(f"ignoring CHATPROTO_{key.upper()}={text}: Kubernetes ")


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["port=http"], {}, "--port: 'http' is not in the range 0 to 65535"),
        ([], {"port": "http"}, "CHATPROTO_PORT: 'http' is not in the range 0 to 65535"),
        (["port=tcp://10.0.0.1:1"], {}, "--port: 'tcp://10.0.0.1:1' is not in the range"),
        (["policy=none"], {}, "--policy: 'none' is none of default, reference"),
        ([], {"no_notices": "maybe"}, "CHATPROTO_NO_NOTICES: 'maybe' is neither yes nor no"),
        ([], {"unix": "/a,,/b"}, "CHATPROTO_UNIX: it is empty"),
        (["port=1", "port=2"], {}, "--port takes one value, and has 2"),
        (["unix_mode=600"], {}, "--unix-mode has no use without --unix"),
        (["tls_key=k"], {}, "--tls-key has no use without --tls-cert"),
        ([], {"tls_client_ca": "ca"}, "CHATPROTO_TLS_CLIENT_CA has no use without --tls-cert"),
        (["unix=/x", "port=1"], {}, "--port has no use: with --unix and without --host, "),
        (["unix=/x"], {"port": "1"}, "CHATPROTO_PORT has no use: with --unix and without --host"),
    ],
)
def test_errors_name_the_place(
    arguments: list[str], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read(*arguments, **environment)


def test_an_error_about_two_limits_names_both() -> None:
    with pytest.raises(ValueError, match=r"^--queue-bytes is at least CHATPROTO_MAX_LINE, or "):
        limits_of(read("queue_bytes=1000", max_line="2000"))


def test_a_port_beside_a_unix_socket_has_a_use_if_there_is_a_host() -> None:
    assert read("unix=/x", "port=1", "host=::1").values["port"] == 1


def test_a_flag_may_be_repeated() -> None:
    assert read("no_notices=yes", "no_notices=yes").values["no_notices"] is True
