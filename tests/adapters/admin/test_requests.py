"""Requests of those who run a server: what they do, and what is none."""

import json
from typing import Any

import pytest

from chatproto import ChatBroker
from chatproto_sync.admin.requests import MAX_REQUEST, Office, answer

from ...server.brokers import broker_of, received, send


def office_of(broker: ChatBroker[int], done: list[str], wrong: str = "") -> Office:
    def reload() -> str:
        done.append("reload")
        return wrong

    return Office(
        broker.desk.used_by("root"), lambda: {"users": 2}, lambda: done.append("drain"), reload
    )


def ask(office: Office, **request: str) -> Any:
    line = b"".join(answer(json.dumps(request).encode() + b"\n", office))
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    return json.loads(line)


def test_what_there_is() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "GROUP tea alice")
    office = office_of(broker, [])
    alice, bob = (
        {"name": name, "connections": [n], "nodes": []} for n, name in ((1, "alice"), (2, "bob"))
    )
    assert ask(office, do="users") == {"result": [alice, bob]}
    group = {"group": "tea", "creator": "alice", "members": ["alice"]}
    assert ask(office, do="groups") == {"result": [group]}
    first, _ = ask(office, do="connections")["result"]
    assert first == {
        "connection": 1,
        "peer": "peer-1",
        "name": "alice",
        "queued": 0,
        "is_waiting": False,
        "is_closing": False,
    }
    assert ask(office, do="bans") == {"result": []}
    assert ask(office, do="stats") == {"result": {"users": 2}}


def test_what_is_done() -> None:
    broker, done = broker_of("alice", "bob"), list[str]()
    send(broker, 1, "GROUP tea alice")
    broker.take_log_events()
    office = office_of(broker, done)
    assert ask(office, do="tell", to="bob", text="grüß dich") == {"result": {"connections": 1}}
    assert ask(office, do="tell", to="bob", text="hi", sender="*ops*")["result"]
    assert ask(office, do="add", group="tea", member="bob") == {"result": {}}
    assert ask(office, do="remove", group="tea", member="alice") == {"result": {}}
    assert ask(office, do="kick", name="bob", text="be nice") == {"result": {"connections": 1}}
    assert ask(office, do="ban", what="192.0.2.7") == {"result": {"connections": 0}}
    assert ask(office, do="unban", what="192.0.2.7") == {"result": {}}
    assert ask(office, do="reload") == ask(office, do="drain") == {"result": {}}
    assert received(broker, 2) == [
        "*server* grüß dich",
        "*ops* hi",
        "*server* ERR REFUSED - be nice",
    ]
    assert done == ["reload", "drain"]
    assert [str(each) for each in broker.take_log_events()] == [
        f"operator root: {text}"
        for text in (
            "told bob, connections: 1",
            "told bob, connections: 1",
            "added bob to tea",
            "removed alice from tea",
            "kicked bob, connections: 1",
            "banned the address 192.0.2.7",
            "unbanned the address 192.0.2.7",
            "asked for a reload",
            "asked for a shutdown",
        )
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"hello", "is a line with an object in JSON"),
        (b"\xff", "is a line with an object in JSON"),
        (b"[" * MAX_REQUEST, "is a line with an object in JSON"),
        (b"[]", "is an object of texts"),
        (b'{"do": 1}', "is an object of texts"),
        (b"{}", "there is no '' to do; there is users, "),
        (b'{"do": "kick"}', "kick needs name"),
        (b'{"do": "users", "name": "bob"}', "users takes no name"),
        (b'{"do": "kick", "name": "bob", "office": ""}', "kick takes no office"),
        (b'{"do": "kick", "name": "bob", "text": "a\\nb"}', "is one line"),
        (b'{"do": "tell", "to": "bob", "text": "a\\nb"}', "is one line"),
        (b'{"do": "tell", "to": "bob", "text": "\\ud800"}', "one of the texts is not UTF-8"),
        (b'{"do": "tell", "to": "#pie", "text": "hi"}', "there is no group pie"),
        (b'{"do": "ban", "what": "a b"}', "is no name, address or network"),
        (b'{"do": "unban", "what": "bob"}', "bob is not banned"),
        (b'{"do": "add", "group": "pie", "member": "bob"}', "there is no group pie"),
        (b'{"do": "reload"}', "the old configuration stays in use"),
    ],
)
def test_what_is_not_done(line: bytes, error: str) -> None:
    broker = broker_of("bob")
    office = office_of(broker, [], wrong="the old configuration stays in use")
    assert error in json.loads(b"".join(answer(line, office)))["error"]
    assert received(broker, 1) == []


def test_a_server_without_a_configuration() -> None:
    office = Office(broker_of().desk, dict, lambda: None)
    assert "no configuration" in ask(office, do="reload")["error"]


def test_a_long_list_comes_in_parts() -> None:
    office = office_of(broker_of(*(f"user{number:03}" for number in range(250))), [])
    parts = [*answer(b'{"do": "users"}', office)]
    assert len(parts) == 5
    names = [each["name"] for each in json.loads(b"".join(parts))["result"]]
    assert names == [f"user{number:03}" for number in range(250)]
