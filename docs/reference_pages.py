"""Write the pages in `reference/`, beside this file, from the code.

Each page has a table for each kind of thing that the code defines. The words on what to do about
it are below. A thing without such words, or words without a thing, are an error.
"""

import ast
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import click
from prometheus_client.metrics_core import Metric

import chatproto_anyio
import chatproto_sync
from chatproto import (
    CloseReason,
    ClusterCounters,
    ClusterEvent,
    ClusterEventKind,
    Counters,
    ErrorCode,
    EventKind,
    Health,
    HealthStatus,
    Limits,
    LogEvent,
    Policy,
    Standing,
)
from chatproto.server.health import HANG
from chatproto.server.notices import Notices
from chatproto_anyio.cli.main import cli
from chatproto_anyio.cli.serve import SERVE_OPTIONS
from chatproto_sync.service.logs import JsonFormatter
from chatproto_sync.service.metrics import Collector, health_page, ready_page
from chatproto_sync.service.options import OPTIONS, Option

FOLDER: Final = Path(__file__).with_name("reference")
"""Where the pages are."""

LIVE: Final = "↻"
"""Marks the options that SIGHUP changes."""

OF_A_CLUSTER: Final = "chatproto_cluster_"
"""What the names of the metrics of a cluster begin with."""

METRIC_HEADS: Final = ("metric", "type", "label", "what it counts")
"""The heads of the tables of metrics."""

GROUPS: Final = {
    "The command itself": ("config", "check", "backend"),
    "Where it listens": ("host", "port", "reuse-port", "unix", "unix-mode", "proxy-protocol"),
    "TLS": ("tls-cert", "tls-key", "tls-key-password-file", "tls-client-ca"),
    "Rules": (
        "policy",
        "duplicate-login",
        "broadcasting",
        "names",
        "adding",
        "no-notices",
        "hooks",
    ),
    "Groups and bans that survive a restart": ("state",),
    "Many servers as one chat": (
        "cluster",
        "cluster-password-file",
        "sentinel-password-file",
        "node",
        "node-timeout",
        "patience",
    ),
    "Limits on lines": ("max-line", "bad-lines", "rate"),
    "Limits on connections": (
        "max-connections",
        "max-connections-per-address",
        "max-connections-per-name",
        "handshake-timeout",
        "max-handshakes",
        "login-timeout",
        "auth-timeout",
        "hook-timeout",
    ),
    "Limits on groups": (
        "max-groups",
        "max-groups-per-connection",
        "max-members",
        "max-memberships",
        "max-memberships-per-address",
    ),
    "Limits on queues": ("queue-age", "queue-bytes", "total-queue-bytes"),
    "Shutting down": ("grace",),
    "Those who run it": ("admin-socket",),
    "Metrics and log": ("metrics-host", "metrics-port", "log-level", "log-format", "log-lines"),
}
"""The options of a server, in the order of the page."""

AFTER_AN_ERROR: Final = {
    ErrorCode.MALFORMED: "Compare the line with the [grammar](../protocol.md#1-grammar). Look for"
    " two spaces in a row, a missing part, and a CR at the end of the data.",
    ErrorCode.UNSUPPORTED_VERSION: "Begin each line with `CHAT/1.0`.",
    ErrorCode.UNSUPPORTED_COMMAND: "Send LOGIN, LOGOUT, SEND, BROADCAST, GROUP or LEAVE, in"
    " capitals.",
    ErrorCode.LINE_TOO_LONG: "Split the message. A RECEIVE with your name may be longer than your"
    " SEND. The operator can raise [`--max-line`](options.md#max-line).",
    ErrorCode.BAD_NAME: "Choose a name of 1 to 64 bytes of UTF-8 without spaces and control"
    " characters. By default, a server also refuses names with characters that nobody sees"
    " ([`--names`](options.md#names)).",
    ErrorCode.NAME_RESERVED: "Choose a name that does not begin with `*`.",
    ErrorCode.NAME_IN_USE: "Choose another name, or end the other client. If your connection was"
    " closed, another client has taken your name over. The operator's choice is"
    " [`--duplicate-login`](options.md#duplicate-login).",
    ErrorCode.NOT_LOGGED_IN: "Send LOGIN first, and within a minute"
    " ([`--login-timeout`](options.md#login-timeout)). If the text says that the server wants TLS,"
    " use TLS.",
    ErrorCode.WRONG_DIRECTION: "Send SEND. Only a server sends RECEIVE.",
    ErrorCode.TRUNCATED: "End the last line with LF before you close the connection.",
    ErrorCode.NO_SUCH_USER: "Wait until the user is logged in, and send the message again: the"
    " server does not store it. Capital and small letters differ.",
    ErrorCode.NO_SUCH_GROUP: "Make the group with GROUP. A server that was restarted without"
    " [`--state`](options.md#state) has lost its groups.",
    ErrorCode.GROUP_EXISTS: "Use the group as it is, or choose another name. To add a member, ask"
    " [`*groups*`](../protocol.md#5-which-group-and-who-is-in-it).",
    ErrorCode.NOT_A_MEMBER: "Ask the user who made the group to add you. After a LEAVE there is"
    " nothing to do: you were not in the group.",
    ErrorCode.NOT_ALLOWED: "Ask the user who made the group to add the member. The operator's"
    " choice is [`--adding`](options.md#adding).",
    ErrorCode.TOO_MANY: "Read the text: it says of what. The operator can raise the"
    " [limit](options.md#limits-on-lines).",
    ErrorCode.AUTH_FAILED: "Log in under a name that your certificate has, or that the server's"
    " `authenticate` accepts. If the text says that it was not decided, try again.",
    ErrorCode.SLOW_CONSUMER: "Read all the time. This package's servers send no notice with this"
    " code, because a client that does not read would not see it.",
    ErrorCode.REFUSED: "Read the text: the operators of this server have a rule against it.",
    ErrorCode.UNAVAILABLE: "Try again later: the servers of the chat are cut off from one another"
    " for the moment.",
    ErrorCode.SHUTTING_DOWN: "Connect again later. Clients with `reconnect=True` do.",
}
"""What whoever gets a code can do."""

AFTER_A_CLOSE: Final = {
    CloseReason.LOGGED_OUT: "Nothing: this is how a connection should end.",
    CloseReason.EOF: "Nothing. The client has ended, maybe without meaning to.",
    CloseReason.LOST: "Nothing, if it is rare. Otherwise look at the network, and at timeouts of a"
    " balancer or firewall between.",
    CloseReason.BAD_LINES: "Look at what the client sends: it does not speak CHAT/1.0, or never"
    " logs in.",
    CloseReason.REPLACED: "Nothing, if one person uses two clients. Otherwise two clients have"
    " the same name.",
    CloseReason.SLOW_CONSUMER: "Have the client read all the time. It may hang.",
    CloseReason.FULL_QUEUE: "The same. If the client is only far away, raise the limit.",
    CloseReason.FULL_QUEUES: "Look for clients that do not read. Raise the limit if the machine"
    " has the memory.",
    CloseReason.BANNED: "Nothing, or lift the ban.",
    CloseReason.KICKED: "Nothing: you, or one of your hooks, wanted that.",
    CloseReason.UNAVAILABLE: "See whether the server reaches Redis, and whether Redis has lost"
    " data.",
    CloseReason.SHUTTING_DOWN: "Nothing: the server was asked to stop.",
    CloseReason.TOO_MANY_CONNECTIONS: "Raise the limit, and the number of descriptors that the"
    " process may have (`LimitNOFILE=` in systemd).",
    CloseReason.TOO_MANY_FROM_ADDRESS: "Raise the limit if many users share that address. If it is"
    " a balancer's, use [`--proxy-protocol`](options.md#proxy-protocol).",
    CloseReason.HANDSHAKE_TIMEOUT: "Nothing, if it is rare. A client that waits for the server to"
    " speak first does not use TLS.",
    CloseReason.HANDSHAKE_FAILED: "Read the line `handshake failed` in the log. Often the client"
    " does not trust the CA, or has no certificate.",
    CloseReason.PLAINTEXT: "Have the client use TLS: `--tls` or `--tls-ca`, `ssl=` from Python.",
    CloseReason.TOO_MANY_HANDSHAKES: "Look which network begins so many. Raise the limit if they"
    " are your users.",
    CloseReason.LOGIN_TIMEOUT: "Have the client log in at once. A health check may log out"
    " instead of waiting.",
    CloseReason.HTTP: "Nothing. If it is a health check, let it only connect.",
    CloseReason.TLS: "Give the server a certificate ([`--tls-cert`](options.md#tls-cert)), or have"
    " the client not use TLS.",
    CloseReason.SSH: "Nothing, or correct the port in the client.",
    CloseReason.PROXY: "Name the balancer's network in"
    " [`--proxy-protocol`](options.md#proxy-protocol), or have the balancer send no header.",
    CloseReason.PROXY_HEADER_TIMEOUT: "Have the balancer send PROXY headers (`send-proxy-v2` in"
    " HAProxy).",
    CloseReason.BAD_PROXY_HEADER: "Read the line `bad PROXY header` in the log. Clients inside the"
    " balancer's network can't connect directly.",
    CloseReason.FOREIGN: "Nothing, or correct the port in the client.",
}
"""What an operator can do about a connection that has ended."""

EXAMPLES: Final[dict[EventKind, dict[str, Any]]] = {
    EventKind.ACCEPTED: {},
    EventKind.LOGGED_IN: {"name": "alice"},
    EventKind.LOGIN_REFUSED: {
        "name": "alice",
        "code": ErrorCode.AUTH_FAILED,
        "reason": "your certificate is for somebody else",
    },
    EventKind.HANDSHAKE_FAILED: {"reason": "peer did not return a certificate"},
    EventKind.BAD_PROXY_HEADER: {"reason": "the connection does not begin with one"},
    EventKind.GROUP_MADE: {"name": "alice", "group": "tea"},
    EventKind.MEMBER_ADDED: {"name": "alice", "group": "tea", "member": "carol"},
    EventKind.LEFT: {"name": "alice", "group": "tea"},
    EventKind.GROUP_EXPIRED: {"name": "alice", "group": "chess"},
    EventKind.LOGGED_OUT: {"name": "alice"},
    EventKind.CLOSED: {"name": "alice", "reason": CloseReason.EOF.value},
    EventKind.PROBED: {"reason": CloseReason.EOF.value},
    EventKind.AUTHENTICATE_FAILED: {
        "name": "alice",
        "reason": "ConnectionError: the directory does not answer",
    },
    EventKind.HOOK_FAILED: {"name": "alice", "reason": "SEND: KeyError: 'bob'"},
    EventKind.OPERATOR: {
        "peer": None,
        "connection": None,
        "reason": "kicked bob, connections: 1",
        "operator": "root",
    },
    EventKind.LEFT_OUT: {"peer": "203.0.113.0/24", "connection": None, "count": 1234},
    EventKind.TURNED_AWAY: {"reason": CloseReason.TOO_MANY_CONNECTIONS.value},
    EventKind.SHUTTING_DOWN: {"peer": None, "connection": None, "count": 12},
    EventKind.SHUT_DOWN: {"peer": None, "connection": None, "count": 1, "seconds": 2.3},
}
"""For each kind of event, the fields of an example, besides those of a connection."""

BETWEEN_NODES: Final = {
    ClusterEventKind.STANDING: (
        "late",
        (
            "Info when it is up again, else a warning: see whether the"
            " node reaches Redis, and whether it or Redis is too busy."
            " [Standings](metrics.md#health) are in the list of metrics."
        ),
    ),
    ClusterEventKind.NODE_JOINED: ("", "Nothing."),
    ClusterEventKind.NODE_LEFT: ("", "Nothing: it was asked to stop."),
    ClusterEventKind.NODE_DOWN: ("", "See whether the node runs, and whether it reaches Redis."),
    ClusterEventKind.FENCED: (
        "",
        (
            "The node stood still, or could not reach Redis, for longer than"
            " [`--node-timeout`](options.md#node-timeout)."
        ),
    ),
    ClusterEventKind.LEDGER_LOST: ("", "The line before says why."),
}
"""For each event of a cluster, an example of its text, and what to do."""

OTHER_LINES: Final = {
    "listening on …": "The server is ready.",
    "everybody can write to …, and replace the admin socket there: use a directory of the server's"
    " user": "Name another path with `--admin-socket`, or correct the mode of the directory.",
    "serving metrics on …": "Prometheus can read there.",
    "not listening on …: this machine has no …": "Nothing, or leave that address out.",
    "can't accept connections, trying again every second: …": "Mostly the process has no"
    " descriptors left: raise `LimitNOFILE=` in systemd, or `ulimit -n`.",
    "… has no use: systemd has passed the sockets to listen on": "Remove the option, or the"
    " `.socket` unit.",
    "can't tell systemd …: NOTIFY_SOCKET=…: …": "The server serves. See whether the unit"
    " allows the socket.",
    "can't print the greeting: …": "The server serves. Its standard output is closed or full.",
    "the configuration is good": "The answer to `--check`, in JSON.",
    "there is no configuration file and no certificate to read again": "SIGHUP came, and there is"
    " nothing that it could change.",
    "the configuration was read again, changes: …": "SIGHUP came. The options named hold now.",
    "these options change only with a restart: …": "Restart the server when it suits you.",
    "the old configuration stays in use: …": "Correct what the line names, and send SIGHUP again.",
    "the certificate was read again": "New connections get the certificate in the file.",
    "the old certificate stays in use: …": "Correct what the line names, and send SIGHUP again.",
    "authenticate failed": "Your `authenticate` has raised an exception. The traceback follows,"
    " once a minute.",
    "a hook failed": "One of your hooks has raised an exception, or returned no verdict. The"
    " traceback follows, once a minute.",
    "a hook has taken … ms, and the server has served nobody meanwhile: …": "Have the hook hand its"
    " work to a thread; see [Write a hook](../how-to/write-a-hook.md). Once a minute at most.",
    "ending although calls of authenticate or hooks go on: …": "Have your `authenticate` end when"
    " it is cancelled.",
    "can't write the state file …, trying again: …. If the server ends before that works, changes"
    " of groups and bans are lost": "Make room on the disk, or make it writable.",
    "the state file … is written again": "Nothing: all is written.",
    "the changes of … groups and bans are lost: they are not in the state file …": "The server has"
    " ended while it could not write. The file has the groups of before.",
    "leaving the state file …: the disk takes too long": "The server has ended without waiting"
    " longer for the disk.",
    "joined the chat … as node …, over Redis at …": "The server is one node of a cluster now, and"
    " listens next.",
    "lost Redis at …, connecting again: …": "Redis has ended, or something cuts its connections."
    " Until it is back, what needs other nodes waits, and then is refused with UNAVAILABLE.",
    "can't use Redis at …, trying again: …": "The node goes on trying, and says so once a minute."
    " Start Redis again, or correct what the line names.",
    "connected to Redis at … again, after … seconds": "Nothing: the node goes on where it was.",
    "the ledger of the chat … has a gap: …; this node joins anew, and its users have to log in"
    " again": "Redis has lost data: somebody has removed them, or a replica that was behind has"
    " taken over. See [how safely it keeps them](https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/).",
    "a request on the admin socket failed": "A defect: please report it with the traceback. The"
    " server goes on.",
    "unhandled exception": "A defect: please report it with the traceback.",
    "unhandled exception in thread …": "The same.",
}
"""What each line means that is no event, or what to do about it. A … is for what differs."""


def write() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


def page_of_options() -> str:
    """The options of all commands."""
    options = {option.name: option for option in SERVE_OPTIONS}
    listed = [name for names in GROUPS.values() for name in names]
    _require_same(listed, options)
    parts = [
        _head(
            "Options",
            f"""\
            Every option of every command, with its environment variable, its line in the
            configuration file, and its default. `--help` says the same.

            ## `chatproto serve` and `python -m chatproto_sync`

            An option can come from the command line, the environment, or the file that
            `--config` names. The command line comes before the environment, the environment
            before the file, and the file before the default. An option is taken whole: `--host`
            on the command line replaces all hosts of the file.

            In the environment, commas separate several values, and a flag is `yes` or `no`. In
            the file, which is TOML, the options have the same names:

            ```toml
            host = ["203.0.113.5", "[2001:db8::5]"]
            port = 3333
            unix = "/run/chatproto/chat"
            unix-mode = "660"
            duplicate-login = "reject"
            no-notices = false
            max-connections = 5000
            queue-bytes = "2M"
            grace = "5s"
            log-level = "warning"
            ```

            BYTES are a number, or one with `k`, `M` or `G`: `64k` is 65,536 bytes, because `1k` is
            1024 bytes, `1M` is 1024 k, and `1G` is 1024 M. SECONDS are a number, or one with `ms`,
            `s`, `m` or `h`: `10s`, `5m`. In the file, a text with such a suffix is in quotes.

            Relative paths start at the current directory, in the file too. A value that can't be
            right, an option that does not exist, and one that has no use beside the others are
            errors that name their place. `--check` finds them without starting a server.

            {LIVE} marks the options that change while the server runs: change the file, and
            send SIGHUP. The log says what has changed.
            """,
        )
    ]
    for title, names in GROUPS.items():
        parts.append(f"### {title}")
        parts.append(
            _table(
                ("option, variable, line in the file", "what it is for", "default"),
                (_server_option(options[name]) for name in names),
            )
        )
    parts.append(_limits_for_programs())
    context = click.Context(cli)
    commands = [cli.get_command(context, name) for name in ("chat", "check", "listen", "send")]
    parts.append(_client_options([each for each in commands if each is not None]))
    admin = cli.get_command(context, "admin")
    assert admin is not None  # noqa: S101 - it exists
    usage = " ".join(admin.collect_usage_pieces(click.Context(admin)))
    rows = [
        _client_option(each, "admin-") for each in admin.params if isinstance(each, click.Option)
    ]
    parts.append(f"## `chatproto admin {usage}`")
    parts.append("[See who is online, and act](../how-to/see-and-act.md) has the actions.")
    parts.append(_table(("option, variable", "what it is for", "default"), rows))
    return "\n\n".join(parts) + "\n"


def _server_option(option: Option) -> tuple[str, str, str]:
    name = f"--{option.name}"
    if option.metavar:
        name += f" {option.metavar}"
    rule = getattr(Policy(), option.key, None)
    text = option.metavar or (option.default if rule is None else rule.value)
    value = {bool: "true", int: "N", float: "X"}.get(option.toml, f'"{text}"')
    if option.unit is not None:
        value = f'"{option.default_words}"'
    if option.is_multiple:
        value = f"[{value}, …]"
    lines = [f'<a id="{option.name}"></a>`{name}`', f"`{option.variable}`"]
    lines.append(f"`{option.name} = {value}`" if option.in_file else "not in the file")
    default = option.default_words
    if default and "default:" not in option.help:
        default = f"`{default}`"
    text = _what_for(option)
    return "<br>".join(lines), f"{text} {LIVE}" if option.is_live else text, default


def _what_for(option: Option) -> str:
    """What an option is for: the whole text of a limit, and the meaning of each choice."""
    if option.key in LIMITS:
        return _linked(re.sub(r" None for .+?\.", "", LIMITS[option.key]))
    text = option.help.partition(" (default: ")[0]
    text = f"{text[0].upper()}{text[1:]}."
    if option.name == "backend":
        text += " Only `chatproto serve` has it."
    if hasattr(Policy(), option.key):
        rules: type[Enum] = type(getattr(Policy(), option.key))
        docs = texts_below(rules)
        choices = [f"`{each.value}`: {docs[each.name]}" for each in rules]
        return "<br>".join([text, *choices])
    if option.choices:
        *others, last = (f"`{each}`" for each in option.choices)
        return f"{text} {', '.join(others)} or {last}."
    return text


def _limits_for_programs() -> str:
    with_option = {option.key for option in OPTIONS}
    rows = [
        (f'<a id="{each.name}"></a>`{each.name}`', _linked(LIMITS[each.name]), f"`{each.default}`")
        for each in fields(Limits)
        if each.name not in with_option
    ]
    return (
        "### Limits without an option\n\nPrograms can set these in"
        " [`Limits`](../api/errors.md#chatproto.Limits); no operator has a reason to.\n\n"
        + _table(("field", "what it bounds", "default"), rows)
    )


def _client_options(commands: list[click.Command]) -> str:
    """The options of the client commands: those that all have, then those of each."""
    by_command = {
        str(command.name): {
            each.opts[0]: each for each in command.params if isinstance(each, click.Option)
        }
        for command in commands
    }
    shared = set.intersection(*(set(options) for options in by_command.values()))
    first = next(iter(by_command.values()))
    parts = [
        "## `chatproto chat`, `check`, `listen` and `send`\n",
        "These say where the server is. An option on the command line comes before its variable.\n",
        _table(
            ("option, variable", "what it is for", "default"),
            (_client_option(each, "client-") for name, each in first.items() if name in shared),
        ),
    ]
    for command in commands:
        own = by_command[str(command.name)]
        usage = command.collect_usage_pieces(click.Context(command))
        parts.append(f"\n### `chatproto {command.name} {' '.join(usage)}`\n")
        rows = [_client_option(own[name], f"{command.name}-") for name in own.keys() - shared]
        parts.append(_table(("option", "what it is for", "default"), sorted(rows)))
    return "\n".join(parts)


def _client_option(option: click.Option, prefix: str) -> tuple[str, str, str]:
    name = option.opts[0]
    metavar = f" {option.metavar}" if option.metavar else "" if option.is_flag else " TEXT"
    cell = f'<a id="{prefix}{name.removeprefix("--")}"></a>`{name}{metavar}`'
    if option.envvar:
        cell += f"<br>`{option.envvar}`"
    has_default = isinstance(option.default, str | int | float) and not option.is_flag
    default = f"`{option.default}`" if has_default else "required" if option.required else ""
    return cell, str(option.help), default


def page_of_error_codes() -> str:
    """The codes of notices and exceptions."""
    _require_same(AFTER_AN_ERROR, ErrorCode)
    docs = texts_below(ErrorCode)
    return (
        _head(
            "Error codes",
            """\
            A notice is a message from `*server*`. It names a code, the command that it answers,
            and why, in words for people:

            ```text
            CHAT/1.0 RECEIVE *server* ERR NO_SUCH_USER SEND bob is not online
            ```

            The code never changes; the words may. In Python, a code is an
            [`ErrorCode`](../api/errors.md#chatproto.ErrorCode): in `Notice.code`, and in `.code`
            of `LoginRefusedError`, `RequestRefusedError`, `ConnectionLostError` and
            `ProtocolError`. The server counts each in
            [`chatproto_refusals_total`](metrics.md).
            """,
        )
        + "\n\n"
        + _table(
            ("code", "what it means", "what to do"),
            (
                (f'<a id="{code}"></a>`{code}`', docs[code.name], AFTER_AN_ERROR[code])
                for code in ErrorCode
            ),
        )
        + "\n"
    )


def page_of_close_reasons() -> str:
    """The reasons for which connections end."""
    _require_same(AFTER_A_CLOSE, CloseReason)
    docs = texts_below(CloseReason)
    notices = Notices(Limits(), enabled=True)
    rows: list[tuple[str, ...]] = []
    for reason in CloseReason:
        line = notices.closing(reason).decode()
        told = re.sub(r"^\S+ RECEIVE \S+ ERR (\S+) - (.*)\n", r"[`\1`](error-codes.md#\1) \2", line)
        meaning = _linked(docs[reason.name])
        anchor = reason.name.lower()
        cell = f'<a id="{anchor}"></a>{reason}'
        rows.append((cell, meaning, told or "nothing", AFTER_A_CLOSE[reason]))
    return (
        _head(
            "Close reasons",
            """\
            Why the server has closed a connection, or found it closed. The log has the reason in
            its line, `closed alice (203.0.113.7:4321): end of stream`, and the server counts it in
            [`chatproto_closes_total`](metrics.md). In Python it is a
            [`CloseReason`](../api/broker.md#chatproto.CloseReason). With `--no-notices`, the client
            is told nothing.
            """,
        )
        + "\n\n"
        + _table(("reason", "what has happened", "what the client is told", "what to do"), rows)
        + "\n"
    )


class _NothingYet:
    """A server to which nothing has happened."""

    def snapshot(self) -> Counters:
        """See `MetricsSource`."""
        return Counters()

    def cluster_snapshot(self) -> ClusterCounters:
        """See `MetricsSource`."""
        return ClusterCounters(unacknowledged={"a": 0})

    def health(self) -> Health:
        """See `MetricsSource`."""
        return Health(listening=True, draining=False, late=0.0)


def page_of_metrics() -> str:
    """What Prometheus reads."""
    collector = Collector(_NothingYet(), lambda: datetime.fromtimestamp(0, UTC))
    metrics = list(collector.collect())
    rows = [_metric(each) for each in metrics if not each.name.startswith(OF_A_CLUSTER)]
    cluster_rows = [_metric(each) for each in metrics if each.name.startswith(OF_A_CLUSTER)]
    return (
        _head(
            "Metrics",
            """\
            `--metrics-port` serves these for Prometheus, on 127.0.0.1 unless `--metrics-host` says
            otherwise. Whoever can reach the port can read them. Each code and each reason has a
            series from the start. From Python, `Server.snapshot` returns the same numbers as
            [`Counters`](../api/broker.md#chatproto.Counters). Beside them are those of each process
            that uses Prometheus' client for Python: `process_resident_memory_bytes`,
            `process_open_fds`, `process_max_fds`, `process_cpu_seconds_total`, `python_info` and
            others.
            """,
        )
        + "\n\n"
        + _table(METRIC_HEADS, rows)
        + "\n\n"
        + dedent(
            """\
            `chatproto_lag_seconds` has the usual series of a histogram: `_bucket`, `_sum` and
            `_count`. 99 % of the times of the last five minutes in which the server served no
            further connection were not longer than this:

            ```promql
            histogram_quantile(0.99, rate(chatproto_lag_seconds_bucket[5m]))
            ```

            `chatproto_certificate_expiry_timestamp_seconds` is there with
            [`--tls-cert`](options.md#tls-cert) only. This is the number of days that are left:

            ```promql
            (chatproto_certificate_expiry_timestamp_seconds - time()) / 86400
            ```

            ## Of a cluster

            A server with [`--cluster`](options.md#cluster) has these too. From Python,
            `Server.cluster_snapshot` returns the same numbers as
            [`ClusterCounters`](../api/cluster.md#chatproto.ClusterCounters).
            [Run several servers as one chat](../how-to/run-a-cluster.md#watch-it) says which of
            them tell most.

            """
        )
        + _table(METRIC_HEADS, cluster_rows)
        + "\n\n"
        + dedent(
            """\
            ## Health

            The same port answers `/health` with a JSON object, and with the HTTP status 200 if all
            is well, or else 503. From Python, `Server.health` returns the same as
            [`Health`](../api/broker.md#chatproto.Health).

            ```json
            HEALTH
            ```
            """
        ).replace("HEALTH", health_page(_NothingYet().health()).body.decode().rstrip())
        + "\n"
        + _table(("field", "what it is"), _health_fields())
        + "\n\n"
        + _table(("status", "what it means"), _health_statuses())
        + "\n\n"
        + dedent(
            """\
            `/ready` is for balancers: the HTTP status is 200 while new clients should come to this
            server, and else 503. For a node of a [cluster](../how-to/run-a-cluster.md), that is so
            while the status is `ok` and the standing `up`. Other servers have no standing.

            ```json
            READY
            ```

            """
        ).replace("READY", _ready_example())
        + _table(("standing", "what it means"), _standings())
        + "\n"
    )


def _ready_example() -> str:
    health = Health(listening=True, draining=False, late=0.0)
    return ready_page(health, ClusterCounters(standing=Standing.UP)).body.decode().rstrip()


def _standings() -> Iterator[tuple[str, str]]:
    docs = texts_below(Standing)
    for each in Standing:
        yield f"`{each}`", docs[each.name]


def _health_fields() -> Iterator[tuple[str, str]]:
    yield "`status`", "All of it in a word, see below."
    docs = texts_below(Health)
    for each in fields(Health):
        yield f"`{each.name}`", docs[each.name]


def _health_statuses() -> Iterator[tuple[str, str]]:
    docs = texts_below(HealthStatus)
    for each in HealthStatus:
        yield f"`{each}`", docs[each.name].replace("seconds", f"more than {HANG:g} seconds")


def _metric(metric: Metric) -> tuple[str, str, str, str]:
    labels = {
        "chatproto_refusals": "`code`: see [error codes](error-codes.md)",
        "chatproto_closes": "`reason`: see [close reasons](close-reasons.md)",
        "chatproto_lag_seconds": "`le`",
        "chatproto_build": "`version`",
        "chatproto_cluster_full": "`node`",
        "chatproto_cluster_standing": "`standing`: " + ", ".join(f"`{each}`" for each in Standing),
        "chatproto_cluster_unacknowledged_bytes": "`node`",
    }
    has_labels = any(sample.labels for sample in metric.samples)
    label = labels[metric.name] if has_labels else ""
    name = metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")
    return f"`{name}`", metric.type, label, metric.documentation


def page_of_log_events() -> str:
    """The lines of a server's log."""
    _require_same(EXAMPLES, EventKind)
    docs, field_docs = texts_below(EventKind), texts_below(LogEvent)
    lines = dict(sorted(lines_of_log()))
    _require_same(OTHER_LINES, lines)
    return (
        _head(
            "Log events",
            """\
            The log of a server goes to standard error, and from Python to the logger
            `chatproto.server`. Each line has a time, a level and a text. What peers chose, such as
            names, is escaped in the text, so that it cannot pass for something else.

            `--log-format json` writes one object a line, with `time`, `level`, `logger` and
            `message`, which is the text. The events below have fields too, so that no program has
            to take the text apart:

            ```json
            EXAMPLE
            ```

            ## What connections do

            About one network, the log has at most [`--log-lines`](options.md#log-lines) of these a
            minute. In Python, each is a [`LogEvent`](../api/broker.md#chatproto.LogEvent), and the
            attribute `event` of its `logging.LogRecord`.
            """,
        ).replace("EXAMPLE", _json_example())
        + "\n\n"
        + _table(
            ("event", "level", "text", "fields besides `event`", "when"),
            (_event(kind, docs[kind.name]) for kind in EXAMPLES),
        )
        + "\n\nThe fields, of which an object has those that apply:\n\n"
        + _table(
            ("field", "what it is"),
            (
                (
                    f"`{'event' if each.name == 'kind' else each.name}`",
                    _without_none(field_docs[each.name]),
                )
                for each in fields(LogEvent)
            ),
        )
        + "\n\nThe `reason` of `closed`, `probed` and `turned away` is a"
        " [close reason](close-reasons.md).\n"
        + "\n## What happens between the nodes of a cluster\n\n"
        + "Each line names a node by its ID, and by what tells it from those of the same ID that"
        " were there before. From Python, `Cluster.take_events` returns them as"
        " [`ClusterEvent`](../api/cluster.md#chatproto.ClusterEvent).\n\n"
        + _table(("event", "level", "text", "when", "what to do"), _cluster_events())
        + "\n\n## What the server does\n\nA … stands for what differs.\n\n"
        + _table(
            ("line", "level", "what it means, or what to do"),
            ((f"`{text}`", lines[text], words) for text, words in OTHER_LINES.items()),
        )
        + "\n"
    )


def _cluster_events() -> Iterator[tuple[str, ...]]:
    _require_same(BETWEEN_NODES, ClusterEventKind)
    docs = texts_below(ClusterEventKind)
    for kind, (text, words) in BETWEEN_NODES.items():
        event = ClusterEvent(kind, "b#0123456789abcdef.1", text)
        yield (
            kind.value,
            "warning" if event.is_warning else "info",
            f"`{event}`",
            docs[kind.name],
            words,
        )


def _example(kind: EventKind) -> LogEvent:
    return LogEvent(kind, **{"peer": "203.0.113.7:4321", "connection": 57, **EXAMPLES[kind]})


def _event(kind: EventKind, docs: str) -> tuple[str, str, str, str, str]:
    event = _example(kind)
    level = "error" if event.is_error else "info" if event.important else "debug"
    names = ", ".join(f"`{name}`" for name in event.as_dict() if name != "event")
    return kind.value, level, f"`{event}`", names, _linked(docs)


def _json_example() -> str:
    record = logging.makeLogRecord(
        {
            "name": "chatproto.server",
            "levelno": logging.INFO,
            "levelname": "INFO",
            "msg": "%s",
            "args": (event := _example(EventKind.LOGIN_REFUSED),),
            "event": event,
            "created": 1767225600.0,
            "msecs": 125.0,
        }
    )
    # Broken, because it is long.
    return JsonFormatter().format(record).replace(', "event"', ',\n "event"')


def _without_none(text: str) -> str:
    """The docstring of a field, without what None means."""
    return _linked(re.sub(r"[;.] None .*$", ".", text))


def lines_of_log() -> Iterator[tuple[str, str]]:
    """The texts that the servers log, each with its level. A … is for what is put into it."""
    for package in (chatproto_sync, chatproto_anyio):
        for path in Path(str(package.__file__)).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        ast.Attribute(ast.Name("logger" | "_logger"), level),
                        [ast.Constant(str(text)), *_],
                    ):
                        text = re.sub("%[sdr]", "…", text)
                        # Those without a word of their own are listed where the words come from.
                        if re.search(r"\w", text):
                            yield text, level


def texts_below(cls: type) -> dict[str, str]:
    """The docstrings below the fields of a class and its bases, each on one line."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if not each.__module__.startswith("chatproto"):
            continue
        [node] = ast.parse(inspect.getsource(each)).body
        assert isinstance(node, ast.ClassDef)  # noqa: S101 - the source of a class
        for field, docs in pairwise(node.body):
            match field, docs:
                case (
                    ast.AnnAssign(target=ast.Name(name)) | ast.Assign(targets=[ast.Name(name)]),
                    ast.Expr(ast.Constant(str(text))),
                ):
                    found[name] = " ".join(text.split())
    return found


def _linked(text: str) -> str:
    """The text with a link for each limit that it names."""

    def link(match: re.Match[str]) -> str:
        key = match[1]
        if key in {option.key for option in OPTIONS}:
            name = key.replace("_", "-")
            return f"[`--{name}`](options.md#{name})"
        return f"[`{key}`](options.md#{key})"

    return re.sub(r"`Limits\.(\w+)`", link, text)


def _head(title: str, text: str) -> str:
    source = Path(__file__).name
    return f"<!-- {source} has written this page: change that. -->\n\n# {title}\n\n" + dedent(
        text
    ).rstrip("\n")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _require_same(words: Iterable[object], things: Iterable[object]) -> None:
    """Refuse words about what does not exist, and things without words.

    Raises:
        ValueError: There are some.
    """
    words, things = list(words), list(things)
    if set(words) != set(things) or len(words) != len(things):
        raise ValueError(f"only on one side: {set(words) ^ set(things)}")


LIMITS: Final = texts_below(Limits)
"""The texts of the limits."""

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "options.md": page_of_options,
    "error-codes.md": page_of_error_codes,
    "close-reasons.md": page_of_close_reasons,
    "metrics.md": page_of_metrics,
    "log-events.md": page_of_log_events,
}
"""The pages by name."""


if __name__ == "__main__":
    write()
