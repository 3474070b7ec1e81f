"""`logs`: the format `json`. That the commands write it is in `test_commands.py`."""

import json
import logging
import sys

from chatproto_sync.service.logs import JsonFormatter


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
