"""Starting a profile from a library, a list of papers, feeds, or an author's name."""

import json
from datetime import date

import pytest
from sqlalchemy import func, select

from digest.errors import BadInput, DigestError, Unknown, UnreadablePage
from digest.papers.collect import ingest_bytes
from digest.profiles import seeds
from digest.profiles.exchange import ProfileImport
from digest.profiles.interests import interests_of
from digest.profiles.seeds import import_file, like_author, read_library, read_opml
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
    # The last entry of the BibTeX breaks off.
    broken = ("line 13: a broken entry, read as “Kettles That {\\emph{Sing}}”",)
    problems = broken if file == BIBTEX else ()
    report = import_file(sessions, ada, file, now=NOON)
    assert report == ProfileImport(0, 3, 0, (), new_papers=3, problems=problems)
    assert list(liked(sessions, ada).values()) == ["up"] * 3
    again = import_file(sessions, ada, file, now=NOON)
    assert again == ProfileImport(0, 3, 0, (), new_papers=0, problems=problems)


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
    folders, problems = read_opml(file)
    ((name, text),) = folders.items()
    assert (name, problems) == ("Science", ())
    assert text.startswith("60-Second Science: ")
    assert len(text) <= 4000


ILL_FORMED = {
    "a stray quote": (
        b'<opml><outline text="Bob"s bees" xmlUrl="b"/><outline text="Next" xmlUrl="n"/>',
        {"feeds": 'Bob"s bees; Next'},
    ),
    "a tag and a bare ampersand within": (
        b'<opml><outline title="<b>Bees</b> & <wasps>" xmlUrl="https://b.example?a=1&b=2"></opml>',
        {"feeds": "Bees & <wasps>"},
    ),
    "cut short": (
        b'<opml><body><outline text="Bees" xmlUrl="https://b.example"/>\n<outline text="Ri',
        {"feeds": "Bees"},
    ),
    "single quotes, capitals and line ends within": (
        b"<OPML><OUTLINE TEXT='Bees'\n  TYPE='rss'\n XMLURL='https://b.example'\n/></OPML>",
        {"feeds": "Bees"},
    ),
    "no root": (b'\n\n<outline text="Bees" xmlUrl="https://b.example"/>', {"feeds": "Bees"}),
    "another encoding": (
        '<?xml version="1.0" encoding="windows-1251"?><opml><outline xmlUrl="b" '
        'text="\u041f\u0447\u0451\u043b\u044b"/></opml>'.encode("cp1251"),
        {"feeds": "\u041f\u0447\u0451\u043b\u044b"},
    ),
    "an encoding that it is not in": (
        '<?xml version="1.0" encoding="ascii"?><opml><outline text="Bi\u00eanen" '
        'xmlUrl="https://b.example"/></opml>'.encode(),
        {"feeds": "Bi\u00eanen"},
    ),
    "UTF-16": (
        '<opml><outline text="Bees" xmlUrl="https://b.example"/></opml>'.encode("utf-16"),
        {"feeds": "Bees"},
    ),
    "folders in folders, one without a name": (
        b"""<opml><outline text="A"><outline text=""><outline text="B" xmlUrl="b"/></outline>
        <outline text="C" xmlUrl="c"/></outline><outline text="D" xmlUrl="d"/></opml>""",
        {"A": "B; C", "feeds": "D"},
    ),
    "url in place of xmlUrl": (
        b'<opml><outline text="Bees" type="rss" url="https://b.example"/></opml>',
        {"feeds": "Bees"},
    ),
    "an entity that nobody knows": (
        b'<opml><outline text="Bees &nbsp;&bogus; wasps" xmlUrl="https://b.example"/></opml>',
        {"feeds": "Bees &bogus; wasps"},
    ),
}


@pytest.mark.parametrize("kind", ILL_FORMED)
def test_ill_formed_feeds_are_read_as_far_as_it_goes(kind: str) -> None:
    file, told = ILL_FORMED[kind]
    assert read_opml(file)[0] == told


def test_what_cannot_be_read_of_feeds_is_told_by_its_line(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    file = b"""<opml>
<outline text="Bees" xmlUrl="https://b.example"/>
<outline text="" xmlUrl="https://n.example"/>
<outline>
<outline text='Ri"""
    report = import_file(sessions, ada, file, now=NOON)
    assert report.interests == 1
    assert report.problems == (
        "line 3: a feed without a name",
        "line 4: an outline that cannot be read",
        "line 5: an outline that cannot be read",
    )


def test_more_folders_than_there_is_room_for_are_told_of(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    folders = "".join(
        f'<outline text="F{n}"><outline text="Feed" xmlUrl="u"/></outline>' for n in range(30)
    )
    file = f"<opml>{folders}</opml>".encode()
    report = import_file(sessions, ada, file, now=NOON)
    with sessions.reading() as session:
        have = interests_of(session, ada)
    assert (report.interests, len(have)) == (len(have), 20)
    n_left = 30 - report.interests
    assert report.problems == (
        f"{n_left} folders are left out: a subscriber has at most 20 interests",
    )
    assert import_file(sessions, ada, file, now=NOON).interests == report.interests


def test_lines_of_a_list_that_name_no_paper_are_told(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    read_page(sessions)
    file = b"""to read:
<https://arxiv.org/abs/2601.00001v3>
 - https://huggingface.co/papers/2601.99999 (Bees)
https://www.biorxiv.org/content/10.1101/2026.01.02.123456v2.full
"""
    report = import_file(sessions, ada, file, now=NOON)
    assert report.problems == ("line 1: neither an arXiv id nor a DOI",)
    assert report.unknown == ("2601.99999", "10.1101/2026.01.02.123456")
    assert report.votes == 1


def test_an_authors_papers_are_liked(sessions: Sessions) -> None:
    ada, bob = people(sessions, 2)
    page = b"title,authors\nBees,Ada Lovelace\nRivers,G. Hopper\n"
    ingest_bytes(sessions, "table", page, at=NOON)
    import_file(sessions, ada, b"title,authors\nMine,Ada Lovelace\n", now=NOON)
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


# What could not be read, line by line


def test_broken_bibtex_is_read_as_far_as_it_goes_and_told_by_line() -> None:
    file = (
        b"@article{a, title={Whole}, year={2020}}\n\n"
        b"@article{b, title={Open ended}, author={Ada\n\n"
        b"@article{c, year={2021}}\n@misc{d, title={Whole again}}\n"
    )
    library = read_library(file, date(2026, 3, 1))
    assert {"Whole", "Whole again"} <= {paper.title for paper in library.papers}
    assert list(library.problems) == [
        "line 3: a broken entry, read as \u201cOpen ended\u201d",
        "line 5: an entry without a title, left out",
    ]


def test_rows_of_a_table_that_are_left_out_are_told_by_line() -> None:
    rows = b"Title,Year\n" + b"A paper,2020\n" * 9 + b",2021\nOne,2022,too,many\n"
    library = read_library(rows, date(2026, 3, 1))
    assert len(library.papers) == 9
    assert library.problems == (
        "line 11: a row without a title",
        "line 12: a row of too many fields",
    )


def test_outlines_that_break_off_are_told_by_line() -> None:
    file = (
        b'<opml version="2.0"><body>\n<outline text="ml">\n'
        b'<outline text="Blog" xmlUrl="https://a.example/feed"/>\n'
        b'<outline xmlUrl="https://b.example/feed"/>\n<outline text="cut'
    )
    library = read_library(file, date(2026, 3, 1))
    assert library.interests == {"ml": "Blog"}
    assert library.problems == (
        "line 4: a feed without a name",
        "line 5: an outline that cannot be read",
    )
