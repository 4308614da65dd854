"""A profile as a file: what its subscriber told us, with papers by their names, not our numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from digest.errors import BadInput
from digest.papers.identity import arxiv_id, doi, title_key
from digest.profiles.interests import LONGEST_NAME, LONGEST_TEXT, MOST, interests_of, set_interest
from digest.profiles.mutes import LONGEST_MUTE, MOST_MUTES, mute, mutes_of
from digest.store import insert
from digest.store.tables import Interest, Mute, MuteKind, Paper, PaperKey, VoteRow, VoteValue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Interest(_Part):
    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    is_on: bool = True


class _Vote(_Part):
    title: str
    arxiv_id: str | None = None
    doi: str | None = None
    value: VoteValue
    at: Annotated[AwareDatetime, Field(ge=_EPOCH)] | None = None


class _Mute(_Part):
    kind: MuteKind
    text: Annotated[str, Field(min_length=1, max_length=LONGEST_MUTE)]


class _File(_Part):
    interests: Annotated[list[_Interest], Field(max_length=MOST)] = []
    votes: list[_Vote] = []
    mutes: Annotated[list[_Mute], Field(max_length=MOST_MUTES)] = []


@dataclass(frozen=True, slots=True)
class ProfileImport:
    """What an import took on; `unknown` are the names of papers that are not stored here.

    Of the votes, `new_papers` are on papers that were not stored here before. `left_out` is what
    was too much, and `problems` what of a file could not be read, by its lines.
    """

    interests: int
    votes: int
    mutes: int
    unknown: tuple[str, ...]
    new_papers: int = 0
    left_out: int = 0
    problems: tuple[str, ...] = ()


def export_profile(session: Session, subscriber_id: int) -> dict[str, Any]:
    """Interests, votes and mutes, as `import_profile` takes them."""
    votes = session.execute(
        select(Paper.title, Paper.arxiv_id, Paper.doi, VoteRow.value, VoteRow.at)
        .join(Paper, Paper.id == VoteRow.paper_id)
        # In a file nobody could tell what may be a machine's.
        .where(VoteRow.subscriber_id == subscriber_id, VoteRow.held_at.is_(None))
        .order_by(VoteRow.at, VoteRow.paper_id)
    ).mappings()
    return {
        "interests": [
            {"name": view.name, "text": view.text, **({} if view.is_on else {"is_on": False})}
            for view in interests_of(session, subscriber_id)
        ],
        "votes": [{**vote, "at": vote["at"].isoformat()} for vote in votes],
        "mutes": [
            {"kind": view.kind, "text": view.text} for view in mutes_of(session, subscriber_id)
        ],
    }


def import_profile(
    session: Session, subscriber_id: int, text: str, *, now: datetime
) -> ProfileImport:
    """Add what an export holds; an interest of the same name is replaced, a newer vote stays.

    Raises BadInput, naming what is wrong, and then nothing is changed.
    """
    try:
        file = _File.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "profile"
        raise BadInput(f"{where}: {fault['msg']}") from None
    for interest in file.interests:
        set_interest(
            session, subscriber_id, interest.name, interest.text, now, is_on=interest.is_on
        )
    for muted in file.mutes:
        mute(session, subscriber_id, muted.kind, muted.text, now)
    unknown = []
    for vote in file.votes:
        paper_id = _paper(session, vote)
        if paper_id is None:
            unknown.append(vote.title)
            continue
        at = min(vote.at or now, now)
        row = {"value": vote.value, "via": "import", "at": at, "held_at": None}
        session.execute(
            insert(session, VoteRow)
            .values(subscriber_id=subscriber_id, paper_id=paper_id, **row)
            .on_conflict_do_update(
                index_elements=["subscriber_id", "paper_id"],
                set_=row,
                where=(VoteRow.at < at) & (VoteRow.value != vote.value),
            )
        )
    n_votes = len(file.votes) - len(unknown)
    return ProfileImport(len(file.interests), n_votes, len(file.mutes), tuple(unknown))


def reset_profile(session: Session, subscriber_id: int) -> Mapping[str, int]:
    """Forget every interest, vote and mute; how many there were."""
    return {
        name: len(
            session.execute(
                delete(table).where(table.subscriber_id == subscriber_id).returning(column)
            ).all()
        )
        for name, table, column in (
            ("interests", Interest, Interest.id),
            ("votes", VoteRow, VoteRow.paper_id),
            ("mutes", Mute, Mute.text),
        )
    }


def _paper(session: Session, vote: _Vote) -> int | None:
    keys = [f"arxiv:{id_}"] if (id_ := arxiv_id(vote.arxiv_id)) else []
    keys += [f"doi:{doi_}"] if (doi_ := doi(vote.doi)) else []
    keys.append(f"title:{title_key(vote.title)}")
    query = select(PaperKey.key, PaperKey.paper_id).where(PaperKey.key.in_(keys))
    found = dict(session.execute(query).all())
    return next((found[key] for key in keys if key in found), None)
