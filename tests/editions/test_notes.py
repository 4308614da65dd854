"""What became of papers that somebody liked is told with their next edition, once."""

from datetime import datetime, timedelta

from sqlalchemy import select, update

from digest.editions import PaperNote, note_in_words
from digest.editions.notes import MOST_NOTES
from digest.store import Sessions
from digest.store.tables import Delivery, PaperLink, PaperNews, PaperNewsKind, VoteValue
from digest.votes import vote
from tests.editions.world import DAY, MONDAY, add_papers, add_reader, build, edition, titles

HOUR = timedelta(hours=1)


def news(sessions: Sessions, paper_id: int, kind: PaperNewsKind, detail: str, at: datetime) -> None:
    with sessions() as session:
        row = PaperNews(paper_id=paper_id, kind=kind, detail=detail, url=None, noticed_at=at)
        session.add(row)


def say(sessions: Sessions, who: int, paper_id: int, value: VoteValue, at: datetime) -> None:
    with sessions() as session:
        vote(session, who, paper_id, value, at=at, via="web")


def told(sessions: Sessions, who: int, at: datetime) -> list[tuple[str, str]]:
    """Build the edition of a day, with a paper of its own; the kinds and details of its notes."""
    add_papers(sessions, [f"a paper of {at:%A}"], at - HOUR)
    build(sessions, who, at)
    return [(note.kind, note.detail) for note in edition(sessions, who, at).paper_notes]


def test_news_of_a_paper_that_was_liked_are_told_once_and_to_who_liked_it(
    sessions: Sessions,
) -> None:
    ann, bob = add_reader(sessions), add_reader(sessions, "bob@example.org")
    liked, saved, hated = add_papers(sessions, ["bees", "rivers", "kettles"], MONDAY - HOUR)
    assert told(sessions, ann, MONDAY) == []
    build(sessions, bob, MONDAY)
    for paper_id, value in ((liked, "up"), (saved, "saved"), (hated, "down")):
        say(sessions, ann, paper_id, value, MONDAY + HOUR)
        news(sessions, paper_id, "version", "version 2", MONDAY + 2 * HOUR)
    assert told(sessions, ann, MONDAY + DAY) == [("version", "version 2")] * 2
    assert told(sessions, ann, MONDAY + 2 * DAY) == []
    build(sessions, bob, MONDAY + DAY)
    assert edition(sessions, bob, MONDAY + DAY).paper_notes == ()


def test_news_from_before_the_vote_are_not_told(sessions: Sessions) -> None:
    ann = add_reader(sessions)
    (paper,) = add_papers(sessions, ["bees"], MONDAY - HOUR)
    told(sessions, ann, MONDAY)
    news(sessions, paper, "version", "version 2", MONDAY + HOUR)
    say(sessions, ann, paper, "up", MONDAY + 2 * HOUR)
    assert told(sessions, ann, MONDAY + DAY) == []


def test_the_last_version_is_told_and_a_withdrawal_comes_first(sessions: Sessions) -> None:
    ann = add_reader(sessions)
    (paper,) = add_papers(sessions, ["bees"], MONDAY - HOUR)
    told(sessions, ann, MONDAY)
    say(sessions, ann, paper, "up", MONDAY + HOUR)
    for n in (2, 3):
        news(sessions, paper, "version", f"version {n}", MONDAY + n * HOUR)
    news(sessions, paper, "withdrawn", "an error", MONDAY + 4 * HOUR)
    expected = [("withdrawn", "an error"), ("version", "version 3")]
    assert told(sessions, ann, MONDAY + DAY) == expected


def test_news_wait_for_an_edition_that_is_mailed(sessions: Sessions) -> None:
    ann = add_reader(sessions)
    (paper,) = add_papers(sessions, ["bees"], MONDAY - HOUR)
    told(sessions, ann, MONDAY)
    say(sessions, ann, paper, "up", MONDAY + HOUR)
    news(sessions, paper, "code", "https://c.example.org", MONDAY + 2 * HOUR)
    build(sessions, ann, MONDAY + DAY)
    assert edition(sessions, ann, MONDAY + DAY).paper_notes == ()
    assert told(sessions, ann, MONDAY + 2 * DAY) == [("code", "https://c.example.org")]


def test_what_a_mail_told_that_never_left_is_told_again(sessions: Sessions) -> None:
    ann = add_reader(sessions)
    (paper,) = add_papers(sessions, ["bees"], MONDAY - HOUR)
    told(sessions, ann, MONDAY)
    say(sessions, ann, paper, "up", MONDAY + HOUR)
    news(sessions, paper, "code", "https://c.example.org", MONDAY + 2 * HOUR)
    assert len(told(sessions, ann, MONDAY + DAY)) == 1
    with sessions() as session:
        ids = session.scalars(select(Delivery.id).order_by(Delivery.id)).all()
        gone = update(Delivery).where(Delivery.id == ids[-1]).values(state="cancelled")
        session.execute(gone)
    assert len(told(sessions, ann, MONDAY + 2 * DAY)) == 1


def test_there_are_not_too_many(sessions: Sessions) -> None:
    ann = add_reader(sessions)
    papers = add_papers(sessions, [f"bees {n}" for n in range(30)], MONDAY - HOUR)
    told(sessions, ann, MONDAY)
    for paper in papers:
        say(sessions, ann, paper, "up", MONDAY + HOUR)
        news(sessions, paper, "version", "version 2", MONDAY + 2 * HOUR)
    assert len(told(sessions, ann, MONDAY + DAY)) == MOST_NOTES


def test_a_withdrawn_paper_is_shown_to_nobody(sessions: Sessions) -> None:
    ann = add_reader(sessions)
    bees, _ = add_papers(sessions, ["bees", "rivers"], MONDAY - HOUR)
    news(sessions, bees, "withdrawn", "an error", MONDAY - HOUR)
    build(sessions, ann, MONDAY)
    assert titles(edition(sessions, ann)) == ["rivers"]


def test_a_work_is_shown_once_under_whatever_number(sessions: Sessions) -> None:
    ann = add_reader(sessions)
    one, other, third = add_papers(sessions, ["bees", "many bees", "rivers"], MONDAY - HOUR)
    with sessions() as session:
        session.add(PaperLink(paper_id=one, other_id=other, kind="near", at=MONDAY))
    build(sessions, ann, MONDAY)
    assert sorted(titles(edition(sessions, ann))) == ["bees", "rivers"]
    # Nor is its later version on a later day.
    (late,) = add_papers(sessions, ["rivers again"], MONDAY + HOUR)
    with sessions() as session:
        session.add(PaperLink(paper_id=third, other_id=late, kind="same", at=MONDAY))
    build(sessions, ann, MONDAY + DAY)
    assert edition(sessions, ann, MONDAY + DAY).items == ()


def test_notes_in_words() -> None:
    note = PaperNote(1, "Bees", "version", "version 2", None)
    assert note_in_words(note) == "There is a new version: version 2"
    assert (
        note_in_words(PaperNote(1, "Bees", "withdrawn", "An error", None)) == "Withdrawn: An error"
    )
    assert note_in_words(PaperNote(1, "Bees", "published", "J. Bees", None)) == "Published: J. Bees"
    assert note_in_words(PaperNote(1, "Bees", "code", "https://x", None)) == "Code is available"
