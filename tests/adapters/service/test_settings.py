"""`settings`: which value an option has, and the errors that name where it was set."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from chatproto import DuplicateLogin, Limits, NameRule, Policy
from chatproto_sync.service.options import OPTIONS
from chatproto_sync.service.settings import Settings, in_use, limits_of, policy_of, read_settings


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


def test_a_misspelt_variable_is_warned_of() -> None:
    settings = read(max_lien="1", backend="trio", tls="1")
    assert settings.warnings == [
        "ignoring CHATPROTO_MAX_LIEN: there is no such option; is it CHATPROTO_MAX_LINE?"
    ]


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
        (["node=a"], {}, "--node has no use without --cluster"),
        (["cluster=redis://x/y", "node=a b"], {}, "--node: 'a b' is no name of a server: use "),
        (["cluster=redis://x/y", "node="], {}, "--node: '' is no name of a server: use "),
        (["cluster=redis://x/y", "patience=nan"], {}, "--patience: 'nan' is not more than 0"),
        (["cluster=redis://x/y"], {"node_timeout": "0"}, "CHATPROTO_NODE_TIMEOUT: '0' is not more"),
        (["cluster=redis://x/y"], {"state": "g"}, "CHATPROTO_STATE has no use with --cluster: a "),
        (["cluster=redis://x/y", "reuse_port=yes"], {}, "--reuse-port with --cluster needs --node"),
        (["unix=/x", "reuse_port=yes"], {}, "--reuse-port has no use: with --unix and without "),
        (["port=1", "metrics_port=1"], {}, "--metrics-port: the chat has that port (--port)"),
        (["port=1"], {"metrics_port": "1", "host": "*"}, "CHATPROTO_METRICS_PORT: the chat has "),
        (["port=1", "host=::1", "metrics_port=1", "metrics_host=::"], {}, "--metrics-port: the "),
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
    assert read("unix=/x", reuse_port="no").values["reuse_port"] is False


@pytest.mark.parametrize(
    "arguments",
    [
        ["port=0", "metrics_port=0"],
        ["port=1", "metrics_port=1", "host=::1"],
        ["port=1", "metrics_port=1", "metrics_host=192.0.2.1", "host=127.0.0.1"],
    ],
)
def test_the_same_port_on_another_host(arguments: list[str]) -> None:
    assert read(*arguments).values["metrics_port"] is not None


def test_the_policy_and_its_rules() -> None:
    assert policy_of(read()) == Policy()
    assert policy_of(read("policy=reference")) == Policy.reference()
    settings = read("policy=reference", "duplicate_login=Replace", names="DISTINCT")
    assert policy_of(settings) == replace(
        Policy.reference(), duplicate_login=DuplicateLogin.REPLACE, names=NameRule.DISTINCT
    )
    with pytest.raises(ValueError, match=r"^--broadcasting: 'all' is none of members, anyone$"):
        read("broadcasting=all")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.toml"


def test_a_file_comes_last(path: Path) -> None:
    path.write_text('port = 1\ngrace = 2\nmax-line = 600\nhost = ["a", "b"]\n', encoding="utf-8")
    settings = read(f"config={path}", "port=3", grace="4")
    assert [settings.values[key] for key in ("port", "grace", "max_line", "host")] == [
        3,
        4.0,
        600,
        ("a", "b"),
    ]
    assert settings.places == {
        "config": "--config",
        "port": "--port",
        "grace": "CHATPROTO_GRACE",
        "max_line": f"max-line in {path}",
        "host": f"host in {path}",
    }


def test_sizes_and_times_may_have_a_suffix_everywhere(path: Path) -> None:
    path.write_text('max-line = "8k"\nlogin-timeout = 30\ngrace = "5m"\n', encoding="utf-8")
    settings = read(f"config={path}", "queue_bytes=2M", queue_age="500ms", auth_timeout="7")
    assert limits_of(settings) == Limits(
        max_line=8192,
        login_timeout=30.0,
        grace=300.0,
        queue_bytes=2 << 20,
        queue_age=0.5,
        auth_timeout=7.0,
    )
    path.write_text('grace = "soon"', encoding="utf-8")
    with pytest.raises(ValueError, match=r"^grace in .*: 'soon' is not a time: write "):
        read(f"config={path}")


def test_what_is_in_use_and_where_it_was_set(path: Path) -> None:
    path.write_text('policy = "reference"\nmax-line = 8192\n', encoding="utf-8")
    settings = read(
        f"config={path}", "unix=/a", "unix=/b", "unix_mode=600", "names=VISIBLE", no_notices="1"
    )
    uses = {name: (text, place) for name, text, place in in_use(OPTIONS, settings)}
    in_file = f"policy in {path}"
    for name, text, place in [
        ("config", str(path), "--config"),
        ("host", "none", "default"),
        ("unix", "/a,/b", "--unix"),
        ("unix-mode", "600", "--unix-mode"),
        ("policy", "reference", in_file),
        ("duplicate-login", "share", in_file),
        ("names", "visible", "--names"),
        ("no-notices", "yes", "CHATPROTO_NO_NOTICES"),
        ("max-line", "8k", f"max-line in {path}"),
        ("grace", "10s", "default"),
        ("rate", "no limit", "default"),
        ("state", "none", "default"),
    ]:
        assert uses[name] == (text, place)
    # These have no use: a port without a host, a key without a certificate.
    assert not uses.keys() & {"check", "port", "tls-key", "metrics-host"}


def test_defaults_in_use() -> None:
    uses = {name: text for name, text, place in in_use(OPTIONS, read()) if place == "default"}
    assert (uses["host"], uses["port"], uses["no-notices"]) == ("127.0.0.1", "3333", "no")
    assert uses["adding"] == Policy().adding.value
    assert "" not in uses.values()


def test_the_environment_may_name_the_file(path: Path) -> None:
    path.write_text("port = 1", encoding="utf-8")
    assert read(config=str(path)).values["port"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = 70000", "port in {}: '70000' is not in the range 0 to 65535"),
        ('policy = "none"', "policy in {}: 'none' is none of default, reference"),
        ('host = ""', "host in {}: it is empty"),
        ('host = "h:1"', "host in {}: 'h:1' is neither a host name nor an IP address"),
        ('tls-key = "k"', "tls-key in {} has no use without --tls-cert"),
        ('unix = "/x"\nport = 1', "port in {} has no use: with unix in {} and without --host"),
    ],
)
def test_errors_name_the_file(path: Path, text: str, message: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"^{re.escape(message.replace('{}', str(path)))}"):
        read(f"config={path}")


def test_a_flag_may_be_repeated() -> None:
    assert read("no_notices=yes", "no_notices=yes").values["no_notices"] is True
