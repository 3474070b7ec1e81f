"""`logs`: the format `json`. That the commands write it is in `test_commands.py`."""

import json
import logging
import sys
from pathlib import Path

import pytest

from chatproto_sync.service.logs import JsonFormatter, wants_json

from ..processes import run


def test_an_exception_is_in_the_object() -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        record = logging.LogRecord(
            "chatproto", logging.ERROR, "file", 1, "it %s", ("failed",), sys.exc_info()
        )
    entry = json.loads(JsonFormatter().format(record))
    assert entry["message"] == "it failed"
    assert entry["exception"].endswith("ValueError: wrong")


@pytest.mark.parametrize(
    ("words", "variable", "expected"),
    [
        ("", "", False),
        ("", "json", True),
        ("", "JSON", True),
        ("", "text", False),
        ("--log-format json", "", True),
        ("--log-format JSON", "", True),
        ("--log-format=json", "text", True),
        ("--log-format text", "json", False),
        ("--log-format=json --log-format text", "", False),
        ("--no-such-option --log-format json stray", "", True),
        ("--log-format", "json", False),
        ("--log-format=", "json", False),
        ("--log-formats json", "", False),
        ("json", "", False),
    ],
)
def test_what_arguments_want_that_may_be_wrong(words: str, variable: str, expected: bool) -> None:
    environment = {"CHATPROTO_LOG_FORMAT": variable}
    assert wants_json(words.split(), environment) is expected
    if not variable:
        assert wants_json(words.split(), {}) is expected


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ('log-format = "JSON"', "", True),
        ('log-format = "json"\nno-such-option = 1', "", True),
        ('log-format = "json"', "--log-format text", False),
        ('log-format = "text"', "", False),
        ("log-format = 1", "", False),
        ("", "", False),
        ("", "--log-format json", True),
        ("log-format =", "", False),
    ],
)
def test_what_a_file_wants_that_may_be_wrong(
    text: str, words: str, expected: bool, tmp_path: Path
) -> None:
    path = tmp_path / "chat.toml"
    path.write_text(text, encoding="utf-8")
    assert wants_json([f"--config={path}", *words.split()], {}) is expected
    assert wants_json(words.split(), {"CHATPROTO_CONFIG": str(path)}) is expected
    missing = [f"--config={path}-not"]
    assert wants_json([*missing, "--log-format=json"], {}) is True
    assert wants_json(missing, {}) is False


PROGRAM = """
import asyncio, gc, logging, sys, threading, warnings
from chatproto_sync.service.logs import JsonFormatter, log_to_stderr

log_to_stderr(%s, "info")
warnings.warn("a warning")

class Fails:
    def __del__(self):
        raise ValueError("in a finalizer")

Fails()
gc.collect()

def fail(error):
    raise error

def in_thread(error):
    thread = threading.Thread(target=fail, args=[error], name="worker")
    thread.start()
    thread.join()

in_thread(KeyError("in a thread"))
in_thread(SystemExit("in a thread"))

async def in_loop():
    asyncio.get_running_loop().call_soon(fail, OSError("in a callback"))
    await asyncio.sleep(0)

asyncio.run(in_loop())
raise RuntimeError("at the end")
"""


def test_python_prints_nothing_beside_a_log_of_json_lines() -> None:
    result = run(sys.executable, "-c", PROGRAM % "JsonFormatter()")
    assert (result.returncode, result.stdout) == (1, "")
    entries = [json.loads(line) for line in result.stderr.splitlines()]
    assert [entry["logger"] for entry in entries] == [
        "py.warnings",
        "chatproto.server",
        "chatproto.server",
        "asyncio",
        "chatproto.server",
    ]
    warning, finalizer, thread, callback, end = entries
    assert "UserWarning: a warning" in warning["message"]
    assert "Fails.__del__" in finalizer["message"]
    assert finalizer["exception"].endswith("ValueError: in a finalizer")
    assert thread["message"] == "unhandled exception in thread worker"
    assert thread["exception"].endswith("KeyError: 'in a thread'")
    assert callback["exception"].endswith("OSError: in a callback")
    assert (end["level"], end["message"]) == ("critical", "unhandled exception")
    assert end["exception"].endswith("RuntimeError: at the end")


def test_python_prints_as_usual_beside_a_log_for_people() -> None:
    result = run(sys.executable, "-c", PROGRAM % "logging.Formatter()")
    assert "UserWarning: a warning" in result.stderr
    assert result.stderr.endswith("RuntimeError: at the end\n")
    assert "unhandled exception" not in result.stderr
