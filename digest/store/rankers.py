"""Which ranker makes editions: a log of changes, the last of which says how things stand.

A change keeps the rankers whole, as the settings had them then: what becomes of the settings later
does not change what ranks.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from digest.errors import BadInput, Unknown
from digest.ranking.ranker import STANDARD, Ranker
from digest.settings import Settings
from digest.store.database import insert
from digest.store.tables import RankerChange, RankerChangeKind


@dataclass(frozen=True, slots=True)
class InForce:
    """Since change `number` (None: since ever) `live` ranks, and the two of `trial` share lists."""

    number: int | None = None
    live: Ranker = STANDARD
    trial: tuple[Ranker, Ranker] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What was done, and what has been live and on trial since."""

    number: int
    at: datetime
    kind: RankerChangeKind
    live: Ranker
    trial: tuple[Ranker, Ranker] | None


def defined(settings: Settings) -> dict[str, Ranker]:
    """The rankers that there are by name: the standard one first, then those of the settings."""
    named = {
        name: Ranker(name, **given.model_dump(exclude_none=True))
        for name, given in settings.rankers.items()
    }
    return {STANDARD.name: STANDARD, **named}


def ranker_named(settings: Settings, name: str) -> Ranker:
    """The ranker of that name. Raises Unknown."""
    rankers = defined(settings)
    if name not in rankers:
        known = ", ".join(rankers)
        raise Unknown(f"no ranker is named {name!r}: there are {known}; [rankers] names others")
    return rankers[name]


def in_force(session: Session) -> InForce:
    """What ranks now."""
    row = session.scalar(select(RankerChange).order_by(RankerChange.number.desc()).limit(1))
    if row is None:
        return InForce()
    change = _change(row)
    return InForce(change.number, change.live, change.trial)


def changes(session: Session) -> list[Change]:
    """All changes, the newest first."""
    query = select(RankerChange).order_by(RankerChange.number.desc())
    return [_change(row) for row in session.scalars(query)]


def promote(session: Session, ranker: Ranker, *, at: datetime) -> Change:
    """Make a ranker live, which ends a trial. Raises BadInput where nothing would change."""
    now = in_force(session)
    if now.live == ranker and not now.trial:
        raise BadInput(f"{ranker.name} is live already")
    return _add(session, now, "promote", ranker, None, at)


def rollback(session: Session, *, at: datetime) -> Change:
    """Make the ranker live that was so before the last promotion, which ends a trial.

    Another rollback goes to the one before that. Raises BadInput where there is none.
    """
    before = [STANDARD]
    for change in reversed(changes(session)):
        if change.kind == "promote":
            before.append(change.live)
        elif change.kind == "rollback":
            before.pop()
    if len(before) == 1:
        raise BadInput(f"{STANDARD.name} has been live from the start: nothing to go back to")
    return _add(session, in_force(session), "rollback", before[-2], None, at)


def start_trial(session: Session, one: Ranker, other: Ranker, *, at: datetime) -> Change:
    """Let two rankers share every list from now on. Raises BadInput while others do."""
    if one == other or one.name == other.name:
        raise BadInput(f"{one.name} against itself tells nothing: name two rankers")
    now = in_force(session)
    if now.trial:
        names = " and ".join(ranker.name for ranker in now.trial)
        raise BadInput(f"{names} are on trial already: digest rankers interleave --stop ends that")
    return _add(session, now, "interleave", now.live, (one, other), at)


def stop_trial(session: Session, *, at: datetime) -> Change:
    """Let the live ranker alone make lists again. Raises BadInput where no trial runs."""
    now = in_force(session)
    if not now.trial:
        raise BadInput("no rankers are on trial: digest rankers interleave A B starts a trial")
    return _add(session, now, "stop", now.live, None, at)


def _add(
    session: Session,
    before: InForce,
    kind: RankerChangeKind,
    live: Ranker,
    trial: tuple[Ranker, Ranker] | None,
    at: datetime,
) -> Change:
    row = {
        "number": (before.number or 0) + 1,
        "at": at,
        "kind": kind,
        "live": asdict(live),
        "trial": trial and [asdict(ranker) for ranker in trial],
    }
    new = insert(session, RankerChange).values(row).on_conflict_do_nothing()
    number = session.scalar(new.returning(RankerChange.number))
    if number is None:
        raise BadInput("somebody else has just changed the rankers: see digest rankers list")
    return Change(number, at, kind, live, trial)


def _change(row: RankerChange) -> Change:
    trial = (_ranker(row.trial[0]), _ranker(row.trial[1])) if row.trial else None
    return Change(row.number, row.at, row.kind, _ranker(row.live), trial)


def _ranker(kept: Mapping[str, Any]) -> Ranker:
    """A ranker as it was kept, perhaps by another version of this program."""
    known = {field.name for field in fields(Ranker)}
    return Ranker(**{name: value for name, value in kept.items() if name in known})
