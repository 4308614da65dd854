"""A worker whose jobs are measured: what the figures of a cluster come from, and what tests kill.

`python -m digest.evaluation.worker digest.toml` is `digest worker` with a clock that may be wrong
and a record: for every job a line of its kind, key, seconds, seconds of CPU, statements and
transactions, written when it ends.
"""

import argparse
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from digest.engine import Job, open_app, open_engine
from digest.settings import load_settings


@dataclass(frozen=True, slots=True)
class Done:
    """What one job took; `statements` are those that the database got."""

    kind: str
    key: str
    seconds: float
    cpu_seconds: float
    statements: int
    transactions: int


def read_record(file: Path) -> list[Done]:
    """The jobs that ended, in order; the last line of one that was killed may be half written."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [Done(**json.loads(line)) for line in lines if line.endswith("}")]


class StatementCounter:
    """Counts what goes to any database from this process, and from those that it forks."""

    def __init__(self) -> None:
        """Begin to count."""
        self.statements = self.transactions = 0
        event.listen(Engine, "before_cursor_execute", self._execute)
        event.listen(Engine, "commit", self._end)

    def stop(self) -> None:
        """Count no longer."""
        event.remove(Engine, "before_cursor_execute", self._execute)
        event.remove(Engine, "commit", self._end)

    def _execute(
        self, _c: Connection, _cursor: Any, _sql: str, given: Any, _context: Any, many: Any
    ) -> None:
        # Many rows may have been put into one statement, which then has one set of parameters.
        self.statements += len(given) if many and isinstance(given, list) else 1

    def _end(self, _connection: Connection) -> None:
        self.transactions += 1


def meter(record: Path) -> Callable[[Job], Any]:
    """What writes a line to `record` when a job ends."""
    counter = StatementCounter()
    file = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    @contextmanager
    def around(job: Job) -> Iterator[None]:
        statements, transactions = counter.statements, counter.transactions
        start, cpu = time.perf_counter(), time.process_time()
        yield
        done = Done(
            job.kind,
            job.key,
            round(time.perf_counter() - start, 4),
            round(time.process_time() - cpu, 4),
            counter.statements - statements,
            counter.transactions - transactions,
        )
        os.write(file, (json.dumps(asdict(done)) + "\n").encode())

    return around


def _main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--queues", default="", help="with commas; else all")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument(
        "--ahead", type=float, default=0, help="seconds by which its clock is wrong"
    )
    parser.add_argument("--record", type=Path, required=True)
    asked = parser.parse_args(given)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = load_settings(asked.config, {})
    ahead = timedelta(seconds=asked.ahead)
    open_engine(settings.engine).work(
        lambda: open_app(settings),
        lambda: datetime.now(UTC) + ahead,
        queues=[name for name in asked.queues.split(",") if name],
        processes=asked.processes,
        around=meter(asked.record),
    )


if __name__ == "__main__":
    _main()
