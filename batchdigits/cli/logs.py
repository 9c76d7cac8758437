"""Messages on standard error, as text or as JSON."""

from __future__ import annotations

import argparse

from batchdigits.cli.terminal import print_message
from batchdigits.clock import utc_text
from batchdigits.errors import UsageError
from batchdigits.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging

LOG_FORMATS = ("text", "json")


def configure_logging(arguments: argparse.Namespace, prog: str) -> None:
    """Send the package's messages to standard error, in the format that the flags ask for."""
    import logging

    log_format = arguments.log_format
    if log_format not in LOG_FORMATS:  # argparse does not check a default, here the variable's
        raise UsageError(f"BATCHDIGITS_LOG_FORMAT is {log_format!r}, expected text or json")
    handler = _handler(log_format, prog)
    logger = logging.getLogger("batchdigits")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if arguments.debug else logging.INFO)
    logger.propagate = False


def _handler(log_format: str, prog: str) -> logging.Handler:
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            print_message(self.format(record))

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            level = record.levelname.lower()
            trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
            if log_format == "json":
                return json_line(level, record.getMessage(), record.created) + trace
            if level == "info":  # a table, or a line
                return record.getMessage() + trace
            return f"{prog}: {level}: {one_line(record.getMessage())}{trace}"

    handler = Handler()
    handler.setFormatter(Formatter())
    return handler


def json_line(level: str, message: str, created: float) -> str:
    """Return a message as one line of JSON; `created` is in seconds since 1970."""
    import json

    return json.dumps({"time": utc_text(created), "level": level, "message": message})
