"""Starting a profile from a library, a list of papers, feeds, or an author's name."""

import json

import pytest
from sqlalchemy import func, select

from digest.errors import BadInput, DigestError, Unknown, UnreadablePage
from digest.profiles import seeds
from digest.profiles.exchange import ProfileImport
from digest.profiles.interests import interests_of
from digest.profiles.seeds import import_file, like_author, read_opml
from digest.store import Sessions
from digest.store.tables import ListingRow, Paper, VoteRow
from digest.votes import vote
from tests.profiles.world import NOON, people, read_page
from tests.shared import shared
from tests.sources.other_pages import BIBTEX, CSV, JSON_LINES, ZOTERO

OPML = b"""<?xml version="1.0"?>
<opml version="1.0"><head><title>Feeds</title></head><body>
<outline text="Biology" title="Biology">
  <outline text="Bees & wasps" type="rss" xmlUrl="https://b.example/rss"/>
  <outline title='Proteins' text='x' description="Folding <br> &amp; more" xmlUrl='https://p.example'/>
</outline>
<outline text="On top" xmlUrl="https://t.example/feed">
</body>
"""


def liked(sessions: Sessions, who: int) -> dict[str, str]:
    """The titles of the papers that somebody voted on, and how."""
    query = (
        select(Paper.title, VoteRow.value)
        .join(VoteRow, VoteRow.paper_id == Paper.id)
        .where(VoteRow.subscriber_id == who)
        .order_by(Paper.id)
    )
    with sessions.reading() as session:
        return dict(session.execute(query).all())


@pytest.mark.parametrize(
    "file", [BIBTEX, CSV, JSON_LINES, ZOTERO], ids=["bibtex", "csv", "json", "rdf"]
)
def test_the_papers_of_a_library_are_liked_also_by_title_alone(
    sessions: Sessions, file: bytes
) -> None:
    (ada,) = people(sessions, 1)
    report = import_file(sessions, ada, file, now=NOON)
    assert report == ProfileImport(0, 3, 0, (), new_papers=3)
    assert list(liked(sessions, ada).values()) == ["up"] * 3
    again = import_file(sessions, ada, file, now=NOON)
    assert again == ProfileImport(0, 3, 0, (), new_papers=0)


def test_papers_that_are_known_here_are_told_from_new_ones(sessions: Sessions) -> None:
    (ada,), papers = people(sessions, 1), read_page(sessions)
    known, *_ = papers
    file = f"@article{{a, title = {{{{{known}}}}}}}\n@article{{b, title = {{Unheard of}}}}"
    report = import_file(sessions, ada, file.encode(), now=NOON)
    assert (report.votes, report.new_papers) == (2, 1)
    assert set(liked(sessions, ada)) == {known, "Unheard of"}


def test_a_librarys_papers_are_news_to_nobody(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    import_file(sessions, ada, BIBTEX, now=NOON)
    with sessions.reading() as session:
        assert session.scalar(select(func.count()).select_from(ListingRow)) == 0


def test_a_vote_that_was_cast_before_stays(sessions: Sessions) -> None:
    (ada,), papers = people(sessions, 1), read_page(sessions)
    title, paper_id = next(iter(papers.items()))
    with sessions() as session:
        vote(session, ada, paper_id, "down", at=NOON, via="cli")
    import_file(sessions, ada, f"@misc{{a, title = {{{title}}}}}".encode(), now=NOON)
    assert liked(sessions, ada) == {title: "down"}


def test_of_a_large_library_the_newest_papers_count(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeds, "MOST_SEEDS", 2)
    (ada,) = people(sessions, 1)
    years = {"Old": 1999, "New": 2026, "Undated": None, "Newer": 2027}
    lines = [json.dumps({"title": title, "year": year}) for title, year in years.items()]
    report = import_file(sessions, ada, "\n".join(lines).encode(), now=NOON)
    assert list(liked(sessions, ada)) == ["New", "Newer"]
    assert report.left_out == 2


def test_a_list_of_ids_likes_what_is_known_and_names_the_rest(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    read_page(sessions)
    file = b"# my papers\narXiv:2601.00001v2\nhttps://doi.org/10.1000/X.1, 2601.99999\n"
    report = import_file(sessions, ada, file, now=NOON)
    assert report == ProfileImport(0, 1, 0, ("10.1000/x.1", "2601.99999"))
    assert list(liked(sessions, ada)) == ["proteins paper a"]


def test_folders_of_feeds_become_interests(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    assert import_file(sessions, ada, OPML, now=NOON) == ProfileImport(2, 0, 0, ())
    with sessions.reading() as session:
        told = {view.name: view.text for view in interests_of(session, ada)}
    assert told == {"Biology": "Bees & wasps; Proteins: Folding & more", "feeds": "On top"}


def test_a_real_list_of_feeds_is_read_whole() -> None:
    file = shared("profile_seed", "science.opml").read_bytes()
    ((name, text),) = read_opml(file).items()
    assert name == "Science"
    assert text.startswith("60-Second Science: ")
    assert len(text) <= 4000


def test_an_authors_papers_are_liked(sessions: Sessions) -> None:
    ada, bob = people(sessions, 2)
    import_file(sessions, ada, b"title,authors\nBees,Ada Lovelace\nRivers,G. Hopper\n", now=NOON)
    with sessions() as session:
        report = like_author(session, bob, "A. Lovelace", now=NOON)
    assert report == ProfileImport(0, 1, 0, ())
    assert liked(sessions, bob) == {"Bees": "up"}


@pytest.mark.parametrize(("name", "error"), [("Nobody Atall", Unknown), (" 1", BadInput)])
def test_an_author_of_nothing_is_refused(
    sessions: Sessions, name: str, error: type[DigestError]
) -> None:
    (ada,) = people(sessions, 1)
    with pytest.raises(error), sessions() as session:
        like_author(session, ada, name, now=NOON)


@pytest.mark.parametrize(
    ("file", "error", "said"),
    [
        (b"", UnreadablePage, "an empty file"),
        (b"Dear all, hello.", UnreadablePage, "plain text"),
        (b"<opml><body></body></opml>", UnreadablePage, "OPML without any"),
        (b"\x89PNG\r\n\x1a\n\0\0", UnreadablePage, "which is not UTF-8"),
        (b'{"likes": []}', BadInput, "likes: "),
        (b"[" * 100_000, BadInput, "profile: "),
        (b"<outline " * 100_000 + b"<opml>", UnreadablePage, "HTML, XML or JSON"),
        (b"<opml>" + b"<outline a='" * 100_000, UnreadablePage, "OPML without any"),
    ],
)
def test_what_starts_no_profile_is_refused_and_changes_nothing(
    sessions: Sessions, file: bytes, error: type[DigestError], said: str
) -> None:
    (ada,) = people(sessions, 1)
    with pytest.raises(error, match=said):
        import_file(sessions, ada, file, now=NOON)
    assert liked(sessions, ada) == {}
