"""What is old enough to be forgotten, and forgetting it, a little at a time.

Subscribers, their consents, votes and interests are kept, and so are papers and their vectors: they
grow with what is published, not with who is mailed.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, select
from sqlalchemy.orm import Session

from digest.settings import RetentionSettings
from digest.store.database import Sessions
from digest.store.tables import Base, Bounce, Delivery, EditionRow, Look, Page

# Rows of a table that one transaction deletes, with all that hangs on them: no lock is held long.
AT_ONCE = 500


def is_past(session: Session, retention: RetentionSettings, now: datetime) -> bool:
    """Whether there is anything to forget."""
    return any(
        session.scalar(select(_key(table)).where(*past).limit(1)) is not None
        for table, past in _past(retention, now)
    )


def forget(
    sessions: Sessions,
    retention: RetentionSettings,
    *,
    now: datetime,
    stop: Callable[[], bool] = lambda: False,
) -> Counter[str]:
    """Delete what is past its time, until all is or `stop` says so; rows by table.

    What hangs on a row goes with it and is not counted. Safe to repeat, and for several at once.
    """
    gone: Counter[str] = Counter()
    for table, past in _past(retention, now):
        n = AT_ONCE
        while n == AT_ONCE and not stop():
            with sessions() as session:
                n = _delete_some(session, table, past)
            gone[table.__tablename__] += n
    return +gone


def _past(
    retention: RetentionSettings, now: datetime
) -> Iterator[tuple[type[Base], tuple[ColumnElement[bool], ...]]]:
    """The tables that mails and pages begin in, each with what is past in it."""
    if retention.mails:
        before = now - timedelta(days=retention.mails)
        yield EditionRow, (EditionRow.built_at < before,)
        yield Look, (Look.at < before,)
        yield Delivery, (Delivery.edition_id.is_(None), Delivery.created_at < before)
        yield Bounce, (Bounce.delivery_id.is_(None), Bounce.at < before)
    if retention.pages:
        yield Page, (Page.seen_at < now - timedelta(days=retention.pages),)


def _delete_some(session: Session, table: type[Base], past: tuple[ColumnElement[bool], ...]) -> int:
    # Two that are at it take different rows where the database can do that.
    some = select(_key(table)).where(*past).limit(AT_ONCE).with_for_update(skip_locked=True)
    ids = session.scalars(some).all()
    result = session.execute(delete(table).where(_key(table).in_(ids)))
    return cast("CursorResult[Any]", result).rowcount


def _key(table: type[Base]) -> Any:
    return table.__table__.c.id
