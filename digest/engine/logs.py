"""What is logged: lines for people, or a JSON object a line; with ids, never with addresses.

Addresses and tokens are left out where things are logged: logs are kept and copied where
subscribers' data are not. What a mail server or a library says may hold one all the same, so
whatever looks like an address, or like the token of a link, is taken out of every line here, too.
"""

import json
import logging
import re
from datetime import UTC, datetime

from digest.settings import LogFormat

_ADDRESS = re.compile(r"[\w.+=-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_TOKEN = re.compile(r"(?<=/)[A-Za-z0-9_-]{30,}")


def discreet(text: str) -> str:
    """The text with `<address>` and `<token>` in the place of everything that looks like one."""
    return _TOKEN.sub("<token>", _ADDRESS.sub("<address>", text) if "@" in text else text)


class TextLines(logging.Formatter):
    """`2026-11-20T07:00:00+0000 INFO digest.engine.tick: editions:3: 200 built`."""

    def __init__(self) -> None:
        """Fix the form."""
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z"
        )

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback where there is one."""
        return discreet(super().format(record))


class JsonLines(logging.Formatter):
    """An object a line: `at`, `level`, `logger`, `message`, `process`, `thread`, `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever it holds."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            "thread": record.threadName,
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return discreet(json.dumps(line, ensure_ascii=False, default=str))


def start_logging(form: LogFormat) -> None:
    """Log to standard error from now on, in the form of `[log] format`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # One line a tick from the scheduler says nothing that the jobs do not.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    # Nor two a probe of /readyz, which looks at the database's revision.
    logging.getLogger("alembic").setLevel(logging.WARNING)
