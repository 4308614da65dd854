from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select

from digest.delivery.suppression import (
    LINES_AT_ONCE,
    add_suppression,
    address_hash,
    address_key,
    import_suppressions,
    is_suppressed,
    lift,
    list_suppressions,
    read_suppression,
    suppress,
)
from digest.errors import BadInput
from digest.store import Sessions, open_database
from digest.store.tables import Base, Delivery, Suppression
from tests.web.seed import add_edition, add_paper, add_subscriber

SECRET = b"a secret of enough bytes"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("spelling", "key"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        ("  ann@example.org\n", "ann@example.org"),
        ("ANN@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("løser@example.org", "løser@example.org"),
        ("LØSER@example.org", "løser@example.org"),
        ("Zoe\u0308@example.org", "zoë@example.org"),
        ("Not An Address", "not an address"),
    ],
)
def test_spellings_of_one_address_have_one_key(spelling: str, key: str) -> None:
    assert address_key(spelling) == key


@given(st.emails())
def test_the_key_of_a_key_is_itself(address: str) -> None:
    assert address_key(address_key(address)) == address_key(address)


def test_different_people_stay_apart() -> None:
    others = ("ann+digest@example.org", "ann@mail.example.org", "a.nn@example.org")
    assert len({address_key(address) for address in ("ann@example.org", *others)}) == 4


def test_a_suppressed_address_is_known_however_it_is_spelt(sessions: Sessions) -> None:
    with sessions() as session:
        suppress(session, "Ann@Bücher.example", SECRET, reason="complaint", now=NOON)
        assert is_suppressed(session, "ann@xn--bcher-kva.EXAMPLE", SECRET)
        assert not is_suppressed(session, "bob@bücher.example", SECRET)


def test_the_table_holds_no_address_and_says_nothing_without_the_secret(
    sessions: Sessions,
) -> None:
    with sessions() as session:
        suppress(session, "ann@example.org", SECRET, reason="complaint", now=NOON)
        row = session.scalars(select(Suppression)).one()
        assert (len(row.address_hash), row.reason, row.at) == (64, "complaint", NOON)
        assert not {"ann", "example"} & set(repr(vars(row)).lower().split("'"))
        assert not is_suppressed(session, "ann@example.org", b"some other secret")
    assert address_hash("ann@example.org", SECRET) != address_hash("ann@example.org", b"x" * 16)


def test_suppressing_twice_keeps_the_first_reason(sessions: Sessions) -> None:
    with sessions() as session:
        for reason in ("complaint", "bounced"):
            suppress(session, "ann@example.org", SECRET, reason=reason, now=NOON)
        assert session.scalars(select(Suppression.reason)).all() == ["complaint"]


def test_lifting_allows_the_address_again_and_says_whether_it_had_to(sessions: Sessions) -> None:
    with sessions() as session:
        suppress(session, "ann@example.org", SECRET, reason="complaint", now=NOON)
        assert lift(session, "ANN@example.org", SECRET) is True
        assert lift(session, "ann@example.org", SECRET) is False
        assert not is_suppressed(session, "ann@example.org", SECRET)


# By hand


def test_suppressing_by_hand_takes_back_what_is_queued(sessions: Sessions) -> None:
    with sessions() as session:
        ann = add_subscriber(session, "ann@example.org")
        add_edition(session, ann, [add_paper(session, "On graphs")], queued=True)
        add = partial(add_suppression, session, secret=SECRET, reason="by phone", now=NOON)
        assert add(" ANN@example.org ") is True
        assert add("ann@example.org") is False
        assert session.scalars(select(Delivery.state)).all() == ["cancelled"]
        (entry,) = list_suppressions(session)
        assert entry.reason == "by the operator: by phone"
        with pytest.raises(BadInput, match="'ann' is no e-mail address"):
            add("ann")


def test_an_entry_tells_reason_and_time_to_who_has_the_address(sessions: Sessions) -> None:
    with sessions() as session:
        for n, name in enumerate(("ann", "bob")):
            suppress(
                session,
                f"{name}@example.org",
                SECRET,
                reason=name[0],
                now=NOON + timedelta(hours=n),
            )
        bob, ann = list_suppressions(session)
        assert (ann.reason, bob.reason) == ("a", "b")
        assert read_suppression(session, "Bob@example.org", SECRET) == bob
        assert read_suppression(session, "cleo@example.org", SECRET) is None
        assert list_suppressions(session, limit=1) == [bob]


@pytest.mark.parametrize(
    ("text", "added", "problems"),
    [
        ("ann@example.org\nbob@example.org\n", 2, []),
        ("\ufeffaddress\r\nann@example.org\r\n\r\n", 1, []),
        ('reason,Address\n"spam, twice",ann@example.org\nx,bob@example.org\n', 2, []),
        ("ann@example.org\nAnn@Example.org\n", 1, []),
        ("ann@example.org\nnobody\nbob@example.org\n", 2, ["line 2: 'nobody' is no e-mail"]),
        ("reason,address\nspam\n", 0, ["line 2: no address"]),
        ("", 0, []),
    ],
)
def test_files_are_imported_and_lines_at_fault_told(
    sessions: Sessions, text: str, added: int, problems: list[str]
) -> None:
    report = import_suppressions(sessions, text, SECRET, reason="imported", now=NOON)
    with sessions.reading() as session:
        assert len(list_suppressions(session)) == added == report.added
    assert len(report.problems) == len(problems)
    assert all(told.startswith(said) for told, said in zip(report.problems, problems, strict=True))


def test_others_may_write_while_a_long_list_is_imported(sessions: Sessions) -> None:
    text = "".join(f"r{n}@example.org\n" for n in range(2 * LINES_AT_ONCE + 1))
    commits: list[object] = []
    event.listen(sessions.engine, "commit", commits.append)
    report = import_suppressions(sessions, text, SECRET, reason="imported", now=NOON)
    assert (report.added, len(commits)) == (2 * LINES_AT_ONCE + 1, 3)


@pytest.fixture(scope="module")
def in_memory() -> Iterator[Sessions]:
    sessions = open_database("sqlite:///:memory:")
    Base.metadata.create_all(sessions.engine)
    yield sessions
    sessions.engine.dispose()


@given(text=st.text(max_size=80))
def test_any_text_is_imported_or_told_of(in_memory: Sessions, text: str) -> None:
    import_suppressions(in_memory, text, SECRET, reason="imported", now=NOON)
