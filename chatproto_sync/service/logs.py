"""The log of a server: its format, and how it takes in what Python would print."""

import contextlib
import json
import logging
import sys
import threading
import time
import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

from chatproto import LogEvent

from ..sockets.driver import logger


class JsonFormatter(logging.Formatter):
    """Formats each record as one line with a JSON object, for programs.

    The object has `time` (RFC 3339), `level`, `logger`, `message`, and `exception` if there is one.
    If the record has a `LogEvent` as its attribute `event`, the object has the event's fields too;
    if it has `options`, it has these.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        event = getattr(record, "event", None)
        if isinstance(event, LogEvent):
            entry |= event.as_dict()
        if options := getattr(record, "options", None):
            entry["options"] = options
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def wants_json(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether the log should be JSON. Arguments and file are not checked yet, and may be wrong.

    Args:
        arguments: The arguments of a command.
        environment: The environment variables.
    """
    form = _last("log-format", arguments, environment)
    path = _last("config", arguments, environment)
    if path and not form:
        with contextlib.suppress(OSError, ValueError):
            form = str(tomllib.loads(Path(path).read_text(encoding="utf-8")).get("log-format"))
    return form.lower() == "json"


def _last(option: str, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The last text that an option has; empty for none."""
    words = [word.partition("=") for word in arguments]
    texts = [environment.get(f"CHATPROTO_{option.replace('-', '_').upper()}", "")]
    for (name, equals, text), (following, *_) in pairwise([*words, ("", "", "")]):
        if name == f"--{option}":
            texts.append(text if equals else following)
    return texts[-1]


def log_to_stderr(formatter: logging.Formatter, level: str) -> None:
    """Log to standard error, and nowhere else.

    If the format is JSON, what Python would print there goes to the log too: warnings, and
    exceptions that nobody handles. So a program can read every line.

    Args:
        formatter: The format.
        level: The lowest level, such as `info`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    if logs_json():
        logging.captureWarnings(capture=True)
        sys.excepthook = _log_exception
        sys.unraisablehook = _log_unraisable
        threading.excepthook = _log_exception_of_thread


def logs_json() -> bool:
    """Whether the log is JSON, so that nothing else may be written."""
    handlers = logging.getLogger().handlers
    return any(isinstance(each.formatter, JsonFormatter) for each in handlers)


def _log_exception(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    logger.critical("unhandled exception", exc_info=(kind, error, traceback))


def _log_exception_of_thread(args: threading.ExceptHookArgs) -> None:
    # Python ends the thread without a word then.
    if not isinstance(args.exc_value, SystemExit):
        name = None if args.thread is None else args.thread.name
        logger.error("unhandled exception in thread %s", name, exc_info=args.exc_value)


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    words = args.err_msg or "exception ignored in"
    logger.error("%s: %r", words, args.object, exc_info=args.exc_value)
