"""Backup and restore: the whole database in one file, from and into either kind.

    first line   what it is: format, program, revision, when, how many rows, and the key
    other lines  the tables, as digest.store.dump writes them; all of it compressed (gzip)

What is written from SQLite can be read into PostgreSQL, and the other way round. A backup of an
older revision is read into the tables of its own, which are then brought up to date.
"""

import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from digest import __version__
from digest.engine.app import key_file, know_key, make_key, mark_of, miss_no_key, read_secret
from digest.errors import BadInput, BadSettings, WrongDatabase
from digest.settings import Settings
from digest.store import migrate, newest_revision, open_database, revision_of
from digest.store.dump import count_rows, dump, load

FORMAT = 1
# Vectors do not compress; what more effort saves of the rest is not worth its time.
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup file holds; `rows` by table."""

    file: Path
    at: datetime
    revision: str
    rows: dict[str, int]
    with_key: bool


def back_up(
    settings: Settings,
    to: Path,
    *,
    now: datetime,
    progress: Callable[[int], None] = lambda _n: None,
) -> Backup:
    """Write all that is stored at one instant to the file `to`, or to a new one in the folder `to`.

    What does not end in `.gz` is a folder, and made if need be. Digest may go on working meanwhile.
    The key goes along where it stands beside the database. The file appears when it is whole,
    readable by its owner alone. `progress` is told of lines. Raises BadInput where there is such a
    file, WrongDatabase where there is nothing to save, BadSettings where the key is not its own.
    """
    if to.is_dir() or to.suffix != ".gz":
        to = to / f"digest-{now.astimezone(UTC):%Y-%m-%d-%H%M%S}.jsonl.gz"
    if to.exists():
        raise BadInput(f"{to} is there already: name a new file, or a folder")
    sessions = open_database(settings.database, settings.postgresql)
    try:
        revision = revision_of(sessions)
        if revision is None:
            raise WrongDatabase("there is nothing to back up: the database has no tables of Digest")
        miss_no_key(settings, sessions)
        secret = read_secret(settings)
        # Older tables do not tell which key is theirs.
        if revision == newest_revision():
            know_key(sessions, secret)
        key = secret.decode() if settings.secret_key is None else None
        with sessions.snapshot() as connection:
            rows = count_rows(connection)
            head = {
                "digest": "backup",
                "format": FORMAT,
                "program": __version__,
                "revision": revision,
                "at": now.astimezone(UTC).isoformat(),
                "rows": rows,
                "key": key,
                "key_check": mark_of(secret),
            }
            _write(to, chain([json.dumps(head)], dump(connection)), progress)
    finally:
        sessions.engine.dispose()
    return Backup(to, now, revision, rows, key is not None)


def restore(
    settings: Settings,
    file: Path,
    *,
    progress: Callable[[int], None] = lambda _n: None,
) -> Backup:
    """Read a backup into the empty database of the settings: all of it, or, on an error, nothing.

    Raises BadInput for a file that is no whole backup, WrongDatabase for a database that holds
    something or tables of another revision, BadSettings where the key is not the backup's.
    """
    lines = _lines_of(file)
    backup = _head(file, next(lines, ""))
    sessions = open_database(settings.database, settings.postgresql)
    try:
        if revision_of(sessions) in (None, backup.revision):
            migrate(sessions, backup.revision)
        else:
            raise WrongDatabase(
                f"the backup is of revision {backup.revision}, and the database has tables of "
                f"{revision_of(sessions)}: restore into a database without tables"
            )
        with sessions() as session:
            if any(count_rows(session.connection()).values()):
                raise WrongDatabase("the database is not empty: name one that is")
            new_key = _new_key(settings, file)
            written = load(session.connection(), lines, progress=progress)
            if written != backup.rows:
                raise BadInput(f"{file} is not whole: rows are missing at its end")
            if new_key:
                make_key(*new_key)
        migrate(sessions)
    finally:
        sessions.engine.dispose()
    return backup


def _new_key(settings: Settings, file: Path) -> tuple[Path, str] | None:
    """The key to be put beside the database where none is; else check that it is the backup's."""
    head = json.loads(next(_lines_of(file)))
    beside = key_file(settings)
    if beside and not beside.exists():
        if head["key"]:
            return beside, head["key"]
        raise BadSettings(
            "the backup does not hold its key, without which no link in a mail works and no "
            "suppressed address is known: set secret_key to the key of then"
        )
    if mark_of(read_secret(settings)) == head["key_check"]:
        return None
    where = f"{beside} is another key" if beside else "secret_key is another key"
    mend = "move it away" if beside and head["key"] else "set secret_key to the key of then"
    raise BadSettings(
        f"{where} than the one of the backup, without which no link in a mail works and "
        f"no suppressed address is known: {mend}"
    )


def _head(file: Path, line: str) -> Backup:
    try:
        head: Any = json.loads(line)
        is_ours = head["digest"] == "backup"
    except (ValueError, TypeError, KeyError):
        is_ours = False
    if not is_ours:
        raise BadInput(f"{file} is no backup of Digest")
    if head["format"] > FORMAT:
        raise BadInput(f"{file} was made by a newer Digest ({head['program']}): use that")
    return Backup(
        file,
        datetime.fromisoformat(head["at"]),
        head["revision"],
        head["rows"],
        head["key"] is not None,
    )


def _lines_of(file: Path) -> Iterator[str]:
    line = ""
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield line
    except (gzip.BadGzipFile, UnicodeDecodeError, EOFError, zlib.error):
        said = "is not whole, or damaged" if line else "is no backup of Digest"
        raise BadInput(f"{file} {said}") from None
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}") from None


def _write(to: Path, lines: Iterator[str], progress: Callable[[int], None]) -> None:
    try:
        to.parent.mkdir(exist_ok=True)
        # mkstemp makes files that only their owner may read.
        handle, unfinished = tempfile.mkstemp(prefix=f".{to.name}.", dir=to.parent)
    except OSError as error:
        raise BadInput(f"cannot write to {to.parent}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as raw:
            with gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as file:
                for line in lines:
                    file.write(line.encode() + b"\n")
                    progress(1)
            raw.flush()
            os.fsync(raw.fileno())
        # Unlike a rename, a link never takes another file's place.
        os.link(unfinished, to)
    except FileExistsError:
        raise BadInput(f"{to} is there already: name a new file, or a folder") from None
    except OSError as error:
        raise BadInput(f"cannot write {to}: {error.strerror}") from None
    finally:
        Path(unfinished).unlink()
    folder = os.open(to.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
