"""Papers of one work under several numbers: linked, never merged, as links in mails name numbers.

`same`: their ids turned out to name one paper. `near`: one group says nearly the same twice, as in
an extended version or a second upload.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from sqlalchemy import exists, select, union
from sqlalchemy.orm import Session

from digest.papers.identity import NEAR_ABSTRACT, letters_of, same_abstract
from digest.store import insert, parts
from digest.store.tables import Paper, PaperLink, PaperLinkKind, PaperMark

# With how many earlier papers of the same marks a new one is compared; Y. Wang writes many.
MOST_COMPARED = 200
# A title without a colon is known by so many words.
_HEAD = 5


@dataclass(frozen=True, slots=True)
class Copy:
    """Another paper of the same work, and how it is known."""

    paper_id: int
    title: str
    kind: PaperLinkKind


def link_same(session: Session, paper_ids: Collection[int], *, at: datetime) -> None:
    """Link papers of which a listing says by its ids that they are one. Safe to repeat."""
    _link(session, combinations(sorted(paper_ids), 2), "same", at)


def link_near(session: Session, paper_ids: Collection[int], *, at: datetime) -> int:
    """Link those of the papers that were not looked at before to their near-duplicates; how many.

    Their abstracts are as alike as two versions', and so are their authors: half of the shorter
    list is in the other, or one is not known.
    """
    unmarked = ~exists().where(PaperMark.paper_id == Paper.id)
    new = session.execute(
        select(Paper.id, Paper.title, Paper.authors, Paper.abstract).where(
            Paper.id.in_(paper_ids), Paper.abstract != "", unmarked
        )
    ).all()
    if not new:
        return 0
    marks = {row.id: _marks(row.title, row.authors) for row in new}
    rows = [{"mark": mark, "paper_id": id_} for id_, all_ in marks.items() for mark in all_]
    session.execute(insert(session, PaperMark).on_conflict_do_nothing(), rows)
    by_mark: defaultdict[str, list[int]] = defaultdict(list)
    wanted = sorted({mark for all_ in marks.values() for mark in all_})
    for mark, id_ in session.execute(
        select(PaperMark.mark, PaperMark.paper_id)
        .where(PaperMark.mark.in_(wanted))
        .order_by(PaperMark.paper_id)
    ):
        by_mark[mark].append(id_)
    pairs = {
        (other, row.id) if other < row.id else (row.id, other)
        for row in new
        for mark in marks[row.id]
        for other in by_mark[mark][-MOST_COMPARED:]
        if other != row.id
    }
    said = {
        row.id: row
        for row in session.execute(
            select(Paper.id, Paper.authors, Paper.abstract).where(
                Paper.id.in_({id_ for pair in pairs for id_ in pair})
            )
        )
    }
    near = [
        (a, b)
        for a, b in sorted(pairs)
        if _by_one_group(said[a].authors, said[b].authors)
        and same_abstract(said[a].abstract, said[b].abstract, least=NEAR_ABSTRACT)
    ]
    _link(session, near, "near", at)
    return len(near)


def copies_of(session: Session, paper_id: int) -> list[Copy]:
    """The other papers of a paper's work, oldest first."""
    others = {
        other if one == paper_id else one: kind
        for one, other, kind in session.execute(
            select(PaperLink.paper_id, PaperLink.other_id, PaperLink.kind).where(
                (PaperLink.paper_id == paper_id) | (PaperLink.other_id == paper_id)
            )
        )
    }
    titles = select(Paper.id, Paper.title).where(Paper.id.in_(others)).order_by(Paper.id)
    return [Copy(id_, title, others[id_]) for id_, title in session.execute(titles)]


def linked_to(session: Session, paper_ids: Iterable[int]) -> list[tuple[int, int]]:
    """The links of papers, each from both of its ends: (of these papers, the other)."""
    there = select(PaperLink.paper_id, PaperLink.other_id)
    back = select(PaperLink.other_id, PaperLink.paper_id)
    return [
        (one, other)
        for ids in parts(paper_ids)
        for one, other in session.execute(
            union(there.where(PaperLink.paper_id.in_(ids)), back.where(PaperLink.other_id.in_(ids)))
        )
    ]


def _link(
    session: Session, pairs: Iterable[tuple[int, int]], kind: PaperLinkKind, at: datetime
) -> None:
    rows = [{"paper_id": a, "other_id": b, "kind": kind, "at": at} for a, b in pairs]
    if rows:
        session.execute(insert(session, PaperLink).on_conflict_do_nothing(), rows)


def _marks(title: str, authors: Sequence[str]) -> set[str]:
    """What to look a near-duplicate up by: the first, second and last author, the title's head."""
    named = {letters_of(author) for author in (*authors[:2], *authors[-1:])}
    head, colon, _ = title.partition(":")
    words = head if colon else " ".join(title.split()[:_HEAD])
    # `MTMamba++` is what comes after MTMamba.
    known = "".join(c for c in letters_of(words) if c.isalpha())
    return {f"by:{name}"[:200] for name in named if name} | {f"head:{known}"[:200]}


def _by_one_group(one: Sequence[str], other: Sequence[str]) -> bool:
    ours, theirs = set(map(letters_of, one)), set(map(letters_of, other))
    return not ours or not theirs or 2 * len(ours & theirs) >= min(len(ours), len(theirs))
