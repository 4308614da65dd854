import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from digest import subscribers
from digest.errors import BadInput
from digest.papers.clean import one_line
from digest.papers.ingest import ingest_page
from digest.profiles.mutes import (
    LONGEST_MUTE,
    MOST_MUTES,
    MuteView,
    by_authors,
    in_categories,
    mute,
    muted,
    mutes_of,
    unmute,
    with_words,
)
from digest.sources import Listing
from digest.store import Sessions, open_database
from digest.store.tables import Mute, MuteKind, Paper
from tests.profiles.world import NOON, people

any_text = st.text(st.characters(exclude_categories=()), max_size=60)
word = st.text("abcdeé", min_size=1, max_size=4)
name = st.text("abcdefghij", min_size=2, max_size=6).map(str.capitalize)


def holds(text: str, *said: str) -> bool:
    """Whether a paper of this title (and abstract) is hidden by a muted word."""
    title, abstract = (*said, "")[:2]
    return bool(with_words([(title, abstract)], [text]).get(text))


def wrote(muted_name: str, author: str) -> bool:
    """Whether a paper by this author is hidden by a muted name."""
    return bool(by_authors([["Grace Hopper", author]], [muted_name])[muted_name])


# Words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("GAN", "A GAN for music"),
        ("gan", "Training GAN, again"),
        ("GAN", "GAN-based sampling"),
        ("GAN", "(GAN)"),
        ("diffusion model", "One Diffusion  Model to paint them"),
        ("few-shot", "Few shot learning"),
        ("few shot", "few\N{NON-BREAKING HYPHEN}shot"),
        ("Schrodinger", "A Schrödinger bridge"),
        ("Schrödinger", "a SCHRODINGER bridge"),
        ("STRASSE", "die Straße"),
        ("naïve Bayes", "Naive Bayes revisited"),
        ("Lodz", "in Łódź"),
        ("CO2", "the CO₂ in the air"),
        ("GPT", "\uff27\uff30\uff34 in full width"),
        ("GPT", "GPT™ and others"),
        ("GPT-4", "Is GPT-4's answer right?"),
        ("Alzheimer", "Alzheimer\u2019s disease"),
        ("R&D", "costs of R&D"),
        ("C++", "a C++ library"),
        ("C#", "from C# to Rust"),
        ("🤗", "the 🤗 hub"),
        ("深度学习", "基于深度学习的方法"),
        ("GAN", "基于GAN的图像生成"),
        ("モデル", "拡散モデルの学習"),
        ("학습", "강화 학습을 위한"),
        ("ประสาท", "โครงข่ายประสาทเทียม"),
        ("हिन्दी", "एक हिन्दी कोश"),
    ],
)
def test_a_muted_word_hides_the_title_that_holds_it(text: str, said: str) -> None:
    assert holds(text, said)
    assert holds(text, "A title", f"We begin. {said}, at last.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("GAN", "Learning the organ"),
        ("GAN", "Ganymede, slogans and GANs"),
        ("diffusion model", "diffusion of a model"),
        ("diffusion model", "diffusion modeling"),
        ("C++", "The C language"),
        ("C#", "C major"),
        ("学习深度", "深度学习"),
        ("か", "が"),
        ("가", "각"),
        ("हिन्द", "हिन्दी कोश"),
        ("GPT", ""),
    ],
)
def test_a_muted_word_hides_nothing_else(text: str, said: str) -> None:
    assert not holds(text, said)
    assert not holds(text, "A title", said)


def test_no_phrase_goes_from_the_title_into_the_abstract() -> None:
    assert not holds("large models", "We like them large", "Models are many.")


@given(st.lists(word, max_size=12), st.lists(word, min_size=1, max_size=3))
def test_a_phrase_is_found_where_its_words_stand_in_a_row(
    said: list[str], phrase: list[str]
) -> None:
    bare = [[part.replace("é", "e") for part in words] for words in (said, phrase)]
    rows = [bare[0][start : start + len(phrase)] for start in range(len(said))]
    assert holds("-".join(phrase).upper(), ", ".join(said)) == (bare[1] in rows)


@given(any_text, any_text, any_text)
def test_a_title_is_hidden_by_itself_and_by_a_word_beside_any_other(
    text: str, before: str, after: str
) -> None:
    held = holds(text, text)
    assert holds(text, f"{before} {text} {after}") == held
    assert holds(text, "", f"{before} {text} {after}") == held
    assert holds(text.swapcase(), text.upper()) == holds(text.upper(), text.upper())
    if any(c.isascii() and c.isalnum() for c in text):
        assert held


# Authors

LOVELACES = ["Ada Lovelace", "Lovelace, Ada", "A. Lovelace", "Lovelace, A.", "Lovelace A",
             "ADA LOVELACE", "ada lovelace", "Ada King Lovelace", "Lovelace, Ada K.",
             "Dr. Ada Lovelace", "Ada Lovelace, PhD"]  # fmt: skip


@pytest.mark.parametrize("written", LOVELACES)
def test_an_author_is_muted_however_the_name_is_written(written: str) -> None:
    assert wrote("Ada Lovelace", written)
    assert wrote(written, "Ada Lovelace")
    assert wrote("Lovelace", written)
    assert not wrote(written, "Bob Lovelace")
    assert not wrote(written, "Ada Byron")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("J. R. R. Tolkien", "John Ronald Reuel Tolkien"),
        ("J.R.R. Tolkien", "Tolkien, J. R. R."),
        ("Jean-Pierre Serre", "J.-P. Serre"),
        ("Jean-Pierre Serre", "Jean Pierre Serre"),
        ("Ludwig van Beethoven", "van Beethoven, L."),
        ("Ludwig van Beethoven", "ludwig van beethoven"),
        ("Ludwig Van Beethoven", "Ludwig van Beethoven"),
        ("Aad van den Berg", "van den Berg, Aad"),
        ("Łukasz Kaiser", "Lukasz Kaiser"),
        ("Jürgen Müller", "J. Muller"),
        ("Shaquille O'Neal", "Shaquille O\u2019Neal"),
        ("Martin Luther King, Jr.", "King, Martin Luther"),
        ("Ron Bar-Haim", "Ron Bar Haim"),
        ("Gabriel García Márquez", "García Márquez, Gabriel"),
        ("\u0410. Иванов", "Анна Иванов"),
        ("王伟", "王伟"),
        ("OpenAI", "openai"),
        ("Satoshi Ii", "Ii, S."),
    ],
)
def test_two_names_of_one_person_hide_each_other(one: str, other: str) -> None:
    assert wrote(one, other)
    assert wrote(other, one)


@pytest.mark.parametrize(
    ("text", "author"),
    [
        ("Ada Lovelace", "Alan Lovelace"),
        ("Ada Lovelace", "B. Lovelace"),
        ("Ada Lovelace", "Lovelace"),
        ("Ada Lovelace", "Ada Lovelaces"),
        ("Ada K. Lovelace", "Ada B. Lovelace"),
        ("Wei Wang", "Wei-Ming Wang"),
        ("Wei Wang", "Weiming Wang"),
        ("Wei Wang", "Wenhu Wang"),
        ("Jones", "Ada Smith-Jones"),
        ("de Freitas", "Jan Freitas"),
        ("Ada", "Ada Lovelace"),
        ("王", "王伟"),
        ("Dawn Song", "Le Song"),
        ("Wang Chen", "Chen Wang"),
        ("...", "..."),
    ],
)
def test_another_persons_papers_are_not_hidden(text: str, author: str) -> None:
    assert not wrote(text, author)


@pytest.mark.parametrize(
    ("text", "author"),
    [
        ("Lovelace", "Alan Lovelace"),
        ("lovelace", "Lovelace, B."),
        ("de Freitas", "Nando de Freitas"),
        ("de freitas", "Nando de Freitas"),
        ("Freitas", "Nando de Freitas"),
        ("van den Berg", "Aad van den Berg"),
        ("A. Lovelace", "Alan Lovelace"),
    ],
)
def test_a_last_name_alone_hides_everybody_of_it_and_an_initial_whoever_fits(
    text: str, author: str
) -> None:
    assert wrote(text, author)


@given(name, name, name)
def test_a_name_is_its_own_in_every_order_and_no_other_first_names(
    given_: str, family: str, other: str
) -> None:
    for written in (f"{given_} {family}", f"{family}, {given_}", f"{given_[0]}. {family}"):
        assert wrote(f"{given_} {family}", written)
    same = (
        other == given_
        or {other, family} == {given_, family}
        or other + family == (given_ + family)
    )
    if not same:
        assert not wrote(f"{given_} {family}", f"{other} {family}")


@given(any_text)
def test_any_text_that_holds_a_letter_is_a_name_and_its_own(text: str) -> None:
    hides = wrote(text, text)
    assert hides == wrote(text, text.lower()) or not text.isascii()
    if "q" in text.lower():
        assert hides


# Categories


@pytest.mark.parametrize(
    ("text", "category", "hidden"),
    [
        ("cs.CL", "cs.CL", True),
        ("cs.cl", "cs.CL", True),
        ("cs", "cs.CL", True),
        ("cs.*", "cs.CL", True),
        ("cs.CL", "cs.LG", False),
        ("cs.C", "cs.CL", False),
        ("cs.CL", "cs", False),
        ("math", "math-ph", False),
        ("physics", "physics.optics", True),
        ("Cancer  Biology", "cancer biology", True),
    ],
)
def test_a_muted_category_hides_what_is_in_it(text: str, category: str, hidden: bool) -> None:
    assert bool(in_categories([[], ["stat.ML", category]], [text])[text]) == hidden


# Stored

PAPERS = [
    ("A GAN for music", "We play the organ.", ("Ada Lovelace", "Alan Turing"), ["cs.SD", "cs.LG"]),
    ("Playing the organ", "Like a diffusion model.", ("Turing, B.",), ["math.CO"]),
    ("On nothing", "", (), None),
]


class Shelf:
    """A Reader of one page: the papers above; `again` lists the first in one more category."""

    name = "shelf"

    def recognises(self, page: bytes) -> bool:  # noqa: ARG002
        return True

    def read(self, page: bytes, seen_on: object) -> list[Listing]:  # noqa: ARG002
        return [
            Listing(
                title=title,
                abstract=abstract,
                position=position,
                authors=authors,
                facts={"categories": ["eess.AS"] if page == b"again" else categories},
            )
            for position, (title, abstract, authors, categories) in enumerate(PAPERS, 1)
            if page != b"again" or position == 1
        ]


def shelved(sessions: Sessions) -> list[int]:
    """The numbers of the papers, in their order."""
    ingest_page(sessions, "shelf", Shelf(), b"shelf", at=NOON)
    with sessions.reading() as session:
        ids = dict(session.execute(select(Paper.title, Paper.id)).all())
    return [ids[title] for title, *_ in PAPERS]


def tell(sessions: Sessions, who: int, kind: MuteKind, *texts: str) -> list[bool]:
    with sessions() as session:
        return [mute(session, who, kind, text, NOON) for text in texts]


def hidden(sessions: Sessions, who: Sequence[int], papers: Sequence[int]) -> list[list[int]]:
    with sessions.reading() as session:
        matrix = muted(session, who, papers)
    assert (matrix.shape, matrix.dtype) == ((len(who), len(papers)), np.bool_)
    return matrix.astype(int).tolist()


def test_what_one_mutes_is_hidden_from_them_alone(sessions: Sessions) -> None:
    (ada, bob, cyd), papers = people(sessions, 3), shelved(sessions)
    tell(sessions, ada, "word", "GAN", "Diffusion Model")
    tell(sessions, bob, "author", "Alan Turing")
    tell(sessions, bob, "category", "math")
    assert hidden(sessions, [cyd, bob, ada], papers) == [[0, 0, 0], [1, 1, 0], [1, 1, 0]]
    assert hidden(sessions, [ada, ada], papers[::-1] + papers[:1]) == [[0, 1, 1, 1]] * 2
    assert hidden(sessions, [ada, 404], [404, papers[0]]) == [[0, 1], [0, 0]]


def test_a_paper_is_in_the_categories_of_all_its_listings(sessions: Sessions) -> None:
    (ada,), papers = people(sessions, 1), shelved(sessions)
    tell(sessions, ada, "category", "eess")
    assert hidden(sessions, [ada], papers) == [[0, 0, 0]]
    ingest_page(sessions, "shelf", Shelf(), b"again", at=NOON + timedelta(days=1))
    assert hidden(sessions, [ada], papers) == [[1, 0, 0]]


def test_nobody_and_nothing_have_a_shape_too(sessions: Sessions) -> None:
    (ada,), papers = people(sessions, 1), shelved(sessions)
    tell(sessions, ada, "word", "GAN")
    assert hidden(sessions, [], papers) == []
    assert hidden(sessions, [ada], []) == [[]]
    assert hidden(sessions, [], []) == []


@contextmanager
def statements(sessions: Sessions) -> Iterator[list[str]]:
    """The SELECTs that are sent."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        sent.extend([statement] if "FROM" in statement else [])

    event.listen(sessions.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(sessions.engine, "before_cursor_execute", note)


def test_papers_are_read_only_for_the_kinds_that_somebody_mutes(sessions: Sessions) -> None:
    (ada, bob), papers = people(sessions, 2), shelved(sessions)
    with statements(sessions) as sent:
        hidden(sessions, [ada, bob], papers)
    assert len(sent) == 1
    tell(sessions, bob, "author", "Turing")
    with statements(sessions) as sent:
        hidden(sessions, [ada, bob], papers)
    assert len(sent) == 2
    assert "abstract" not in sent[1]


def test_more_people_and_papers_than_one_statement_holds(sessions: Sessions) -> None:
    (ada,), papers = people(sessions, 1), shelved(sessions)
    for kind in get_args(MuteKind):
        tell(sessions, ada, kind, "GAN")
    others = range(10**6, 10**6 + 40_000)
    with sessions.reading() as session:
        matrix = muted(session, [*others[:6000], ada], [*others, papers[0]])
    assert (matrix.sum(), matrix[-1, -1]) == (1, True)


def test_a_mute_is_stored_once_however_it_is_written(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    assert tell(sessions, ada, "word", "GAN", " gan ", "G\x00AN") == [True, False, False]
    assert tell(sessions, ada, "author", "Ada Lovelace", "LOVELACE, Ada") == [True, False]
    assert tell(sessions, ada, "category", "cs.CL", "CS.cl", "cs") == [True, False, True]
    with sessions() as session:
        assert mutes_of(session, ada) == [
            MuteView("author", "Ada Lovelace"),
            MuteView("category", "cs"),
            MuteView("category", "cs.CL"),
            MuteView("word", "GAN"),
        ]
        assert unmute(session, ada, "author", "lovelace, ada")
        assert not unmute(session, ada, "author", "Ada Lovelace")
        assert not unmute(session, ada, "category", "GAN")
        assert unmute(session, ada, "word", "gan")
        assert [view.text for view in mutes_of(session, ada)] == ["cs", "cs.CL"]


@pytest.mark.parametrize("kind", get_args(MuteKind))
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 1 to 100 characters, not 0"),
        (" \x00\udcff ", "has 1 to 100 characters, not 0"),
        ("w" * 101, "has 1 to 100 characters, not 101"),
        ("?!...", "needs a letter or a digit, and '?!...' has none"),
    ],
)
def test_what_cannot_be_muted_is_refused(
    sessions: Sessions, kind: MuteKind, text: str, said: str
) -> None:
    (ada,) = people(sessions, 1)
    with pytest.raises(BadInput) as refusal:
        tell(sessions, ada, kind, text)
    assert str(refusal.value) == f"a muted {kind} {said}"


def test_a_subscriber_has_at_most_two_hundred_mutes(sessions: Sessions) -> None:
    (ada, bob) = people(sessions, 2)
    tell(sessions, ada, "word", *(f"topic {n}" for n in range(MOST_MUTES)))
    assert tell(sessions, ada, "word", "Topic 7") == [False]
    with pytest.raises(BadInput, match="at most 200 mutes"):
        tell(sessions, ada, "author", "Ada Lovelace")
    assert tell(sessions, bob, "word", "w" * LONGEST_MUTE) == [True]


def test_the_mutes_of_an_erased_subscriber_are_gone(sessions: Sessions) -> None:
    (ada,) = people(sessions, 1)
    tell(sessions, ada, "word", "GAN")
    with sessions() as session:
        subscribers.erase(session, "reader0@example.org")
        assert session.scalar(select(func.count()).select_from(Mute)) == 0


@given(kind=st.sampled_from(get_args(MuteKind)), text=any_text)
def test_whatever_is_typed_is_refused_or_stored_once_and_taken_back(
    shelf: tuple[Sessions, int], kind: MuteKind, text: str
) -> None:
    sessions, ada = shelf
    with sessions() as session:
        try:
            assert mute(session, ada, kind, text, NOON)
        except BadInput:
            assert mutes_of(session, ada) == []
        else:
            (view,) = mutes_of(session, ada)
            assert view.text == one_line(text)
            assert not mute(session, ada, kind, view.text, NOON)
            assert muted(session, [ada], [1, 2, 3]).shape == (1, 3)
            assert unmute(session, ada, kind, view.text)


@pytest.fixture(scope="module")
def shelf(
    tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path
) -> Iterator[tuple[Sessions, int]]:
    """A subscriber and the papers, for as many examples as are wanted."""
    file = tmp_path_factory.mktemp("shelf") / "digest.db"
    shutil.copy(_sqlite_template, file)
    sessions = open_database(f"sqlite:///{file}")
    (ada,) = people(sessions, 1)
    shelved(sessions)
    yield sessions, ada
    sessions.engine.dispose()


def test_eight_times_the_mutes_are_about_eight_times_the_work() -> None:
    rng = np.random.default_rng(0)
    said = [
        (f"Title {n}", " ".join(f"w{i}" for i in rng.integers(0, 20_000, 200))) for n in range(200)
    ]
    with_words(said, ["w1"])

    def seconds(n: int) -> float:
        texts = [f"w{i} w{j}" for i, j in rng.integers(0, 20_000, (n, 2))]
        start = perf_counter()
        with_words(said, texts)
        return perf_counter() - start

    few, many = (min(seconds(n) for _ in range(5)) for n in (2000, 16_000))
    assert many < 24 * few
