"""How a server's log is written."""

import json
import logging
import time


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for programs.

    It has `time` (RFC 3339), `level`, `logger`, `message`, and `exception` where there is one.
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
