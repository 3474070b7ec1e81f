"""The format of a server's log."""

import json
import logging
import time


class JsonFormatter(logging.Formatter):
    """Formats each record as one line with a JSON object, for programs.

    The object has `time` (RFC 3339), `level`, `logger`, `message`, and `exception` if there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)
