from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import select, update

from digest import subscribers, votes
from digest.delivery.outbox import sweep
from digest.editions import BuildReport, build_editions, due_subscribers, preview
from digest.editions.build import FIRST_WINDOW, STORED_AT_ONCE
from digest.editions.shard import LONGEST_WINDOW
from digest.languages import language
from digest.profiles.interests import set_interest
from digest.store import Sessions
from digest.store.tables import (
    Delivery,
    EditionItemRow,
    EditionRow,
    Paper,
    SourceDayRow,
    Subscriber,
    Verdict,
)
from tests.editions.world import (
    DAY,
    ENCODER,
    MONDAY,
    add_papers,
    add_reader,
    build,
    count,
    edition,
    list_again,
    rows,
    titles,
)

TOPICS = ("graph networks", "protein folding", "robot grasping", "speech synthesis")


def next_due_at(sessions: Sessions, reader: int) -> datetime | None:
    with sessions.reading() as session:
        return subscribers.read_subscriber(session, reader).next_due_at


def test_the_nearest_to_the_interest_comes_first_and_says_so(sessions: Sessions) -> None:
    reader = add_reader(sessions, interest="protein folding", mix=1.0)
    add_papers(sessions, TOPICS, MONDAY)
    assert build(sessions, reader, MONDAY) == BuildReport(built=1)
    made = edition(sessions, reader)
    assert titles(made)[0] == "protein folding"
    assert [reason.kind for reason in made.items[0].reasons] == ["interest"]
    assert made.items[0].reasons[0].name == "protein folding"
    assert (made.local_date, made.n_candidates, made.note) == (MONDAY.date(), 4, "")


def test_one_who_cannot_be_built_for_keeps_nobody_else_from_theirs(sessions: Sessions) -> None:
    readers = [add_reader(sessions, f"r{n}@example.org") for n in range(3)]
    add_papers(sessions, TOPICS, MONDAY)
    with sessions() as session:
        # What only a fault of ours, or a hand in the database, brings about.
        session.execute(update(Subscriber).where(Subscriber.id == readers[1]).values(hour=99))
    report = build_editions(sessions, readers, ENCODER.identity, now=MONDAY)
    assert report == BuildReport(built=2, skipped=1)
    assert next_due_at(sessions, readers[1]) == MONDAY + DAY
    with sessions.reading() as session:
        assert due_subscribers(session, MONDAY) == []


def test_a_fault_that_is_everybodys_moves_nobody_on(sessions: Sessions) -> None:
    readers = [add_reader(sessions, f"r{n}@example.org") for n in range(2)]
    with sessions() as session:
        session.execute(update(Subscriber).values(hour=99))
    with pytest.raises(ValueError, match="hour must be in"):
        build_editions(sessions, readers, ENCODER.identity, now=MONDAY)
    with sessions.reading() as session:
        assert due_subscribers(session, MONDAY) == readers


def test_who_told_us_nothing_gets_the_trending_papers_and_is_told(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    add_papers(sessions, TOPICS, MONDAY)
    build(sessions, reader, MONDAY)
    made = edition(sessions, reader)
    assert titles(made) == list(TOPICS)
    assert {item.lane for item in made.items} == {"trending"}
    assert "do not know your interests yet" in made.note


def test_who_told_us_only_what_they_dislike_is_told_that(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    disliked, *_ = add_papers(sessions, TOPICS, MONDAY - DAY)
    with sessions() as session:
        votes.vote(session, reader, disliked, "down", at=MONDAY - DAY / 2, via="web")
    build(sessions, reader, MONDAY)
    made = edition(sessions, reader)
    assert {item.lane for item in made.items} == {"trending"}
    assert "only what you do not like" in made.note


def test_building_twice_makes_nothing_twice(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    add_papers(sessions, TOPICS, MONDAY)
    build(sessions, reader, MONDAY)
    before = rows(sessions)
    for later in (timedelta(0), timedelta(minutes=1), timedelta(hours=23)):
        assert build(sessions, reader, MONDAY + later) == BuildReport(skipped=1)
    assert rows(sessions) == before


def test_a_date_has_one_edition_even_where_the_next_is_due_too_early(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    add_papers(sessions, TOPICS, MONDAY)
    build(sessions, reader, MONDAY)
    with sessions() as session:
        session.execute(update(Subscriber).values(next_due_at=MONDAY))
    add_papers(sessions, ["one more"], MONDAY + timedelta(minutes=1))
    assert build(sessions, reader, MONDAY + timedelta(minutes=2)) == BuildReport(skipped=1)
    assert next_due_at(sessions, reader) == MONDAY + DAY
    assert (count(sessions, EditionRow), count(sessions, Delivery)) == (1, 1)


def test_builders_at_once_make_each_edition_once(sessions: Sessions) -> None:
    n = STORED_AT_ONCE + 5
    readers = [add_reader(sessions, f"r{i}@example.org") for i in range(n)]
    add_papers(sessions, TOPICS, MONDAY)
    start = Barrier(4)

    def builder(_n: int) -> BuildReport:
        start.wait()
        return build(sessions, readers, MONDAY)

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(builder, range(4)))
    assert sum(reports, BuildReport()) == BuildReport(built=n, skipped=3 * n)
    assert (count(sessions, EditionRow), count(sessions, Delivery)) == (n, n)


@pytest.mark.parametrize("frequency", ["daily", "weekdays", "weekly", "paused"])
def test_whatever_the_rhythm_nothing_is_missed_and_nothing_comes_twice(
    sessions: Sessions, frequency: str
) -> None:
    asked = "daily" if frequency == "paused" else frequency
    reader = add_reader(sessions, frequency=asked, length=30)
    came: set[int] = set()
    for n in range(15):
        now = MONDAY + n * DAY
        came.update(add_papers(sessions, [f"before{n}"], now - timedelta(hours=2)))
        with sessions() as session:
            subscribers.wake(session, now)
        report = build(sessions, reader, now)
        if n < 14:
            add = add_papers(sessions, [f"after{n}"], now + timedelta(minutes=5))
            came.update(add)
        if frequency == "paused" and n == 2:
            with sessions() as session:
                until = date(2026, 3, 16)
                subscribers.pause(session, "ann@example.org", until, now=now + timedelta(hours=1))
    assert report.built == 1
    with sessions.reading() as session:
        shown = session.scalars(select(EditionItemRow.paper_id)).all()
        lost = session.scalars(select(EditionRow.runners_up)).all()
    assert len(shown) == len(set(shown))
    assert {*shown, *(loser["paper_id"] for losers in lost for loser in losers)} == came


def test_a_paper_committed_late_is_in_the_next_edition(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    add_papers(sessions, TOPICS[:1], MONDAY)
    build(sessions, reader, MONDAY)
    add_papers(sessions, TOPICS[1:2], MONDAY - timedelta(minutes=4))
    add_papers(sessions, TOPICS[2:3], MONDAY + timedelta(hours=4))
    build(sessions, reader, MONDAY + DAY)
    assert sorted(titles(edition(sessions, reader))) == sorted(TOPICS[1:3])


def test_what_an_edition_passed_over_is_not_for_the_next_one(sessions: Sessions) -> None:
    reader = add_reader(sessions, length=2)
    add_papers(sessions, TOPICS, MONDAY - timedelta(minutes=1))
    build(sessions, reader, MONDAY)
    assert edition(sessions, reader).n_candidates == 4
    add_papers(sessions, ["committed late"], MONDAY - timedelta(minutes=1))
    build(sessions, reader, MONDAY + DAY)
    found = edition(sessions, reader)
    assert (titles(found), found.n_candidates) == (["committed late"], 1)


def test_what_an_edition_passed_over_is_new_again_where_a_page_lists_it_again(
    sessions: Sessions,
) -> None:
    reader = add_reader(sessions, length=2)
    ids = add_papers(sessions, TOPICS, MONDAY - timedelta(minutes=1))
    build(sessions, reader, MONDAY)
    shown = {item.paper_id for item in edition(sessions, reader).items}
    (again, _) = sorted(set(ids) - shown)
    list_again(sessions, [again], MONDAY + timedelta(hours=3), reader="hf-daily")
    build(sessions, reader, MONDAY + DAY)
    assert [item.paper_id for item in edition(sessions, reader).items] == [again]


def test_a_paper_shown_before_is_not_counted_as_new(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    add_papers(sessions, TOPICS, MONDAY)
    build(sessions, reader, MONDAY)
    add_papers(sessions, ["one more"], MONDAY + timedelta(hours=4))
    build(sessions, reader, MONDAY + DAY)
    assert edition(sessions, reader).n_candidates == 1


def test_a_first_edition_looks_back_a_week(sessions: Sessions) -> None:
    reader = add_reader(sessions, interest="graph", mix=1.0)
    add_papers(sessions, ["graph old"], MONDAY - FIRST_WINDOW - timedelta(minutes=1))
    add_papers(sessions, ["graph young"], MONDAY - FIRST_WINDOW + timedelta(minutes=1))
    build(sessions, reader, MONDAY)
    assert titles(edition(sessions, reader)) == ["graph young"]


def test_who_was_away_for_long_is_shown_the_last_five_weeks(sessions: Sessions) -> None:
    reader = add_reader(sessions, interest="graph", mix=1.0)
    add_papers(sessions, ["graph first"], MONDAY)
    build(sessions, reader, MONDAY)
    back = MONDAY + 300 * DAY
    add_papers(sessions, ["graph old"], back - LONGEST_WINDOW - timedelta(minutes=1))
    add_papers(sessions, ["graph young"], back - LONGEST_WINDOW + timedelta(minutes=1))
    build(sessions, reader, back)
    assert titles(edition(sessions, reader)) == ["graph young"]


def test_a_paper_not_yet_embedded_waits_and_holds_nobody_up(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    add_papers(sessions, ["ready"], MONDAY - timedelta(hours=1))
    (late,) = add_papers(sessions, ["late"], MONDAY - timedelta(hours=1), embedded=False)
    build(sessions, reader, MONDAY)
    assert titles(edition(sessions, reader)) == ["ready"]
    with sessions() as session:
        session.delete(session.get_one(Paper, late))
    add_papers(sessions, ["late"], MONDAY + timedelta(minutes=1))
    build(sessions, reader, MONDAY + DAY)
    assert titles(edition(sessions, reader)) == ["late"]


def test_a_paper_marked_ready_without_a_vector_stops_nobody(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    odd = add_papers(sessions, ["odd"], MONDAY, embedded=False)
    add_papers(sessions, ["\N{SNOWMAN}", "x" * 5000, "good"], MONDAY)
    with sessions() as session:
        session.execute(update(Paper).where(Paper.id.in_(odd)).values(ready_at=MONDAY))
    assert build(sessions, reader, MONDAY).built == 1
    assert "good" in titles(edition(sessions, reader))


def test_a_paper_that_was_voted_on_is_not_shown(sessions: Sessions) -> None:
    reader = add_reader(sessions)
    liked, _ = add_papers(sessions, ["graph liked", "graph open"], MONDAY - DAY)
    with sessions() as session:
        votes.vote(session, reader, liked, "up", at=MONDAY - timedelta(hours=1), via="cli")
    build(sessions, reader, MONDAY)
    made = edition(sessions, reader)
    assert titles(made) == ["graph open"]
    assert (made.items[0].reasons[0].kind, made.items[0].reasons[0].title) == (
        "liked",
        "graph liked",
    )


def test_a_time_zone_that_is_not_known_here_counts_as_utc_and_stops_nobody(
    sessions: Sessions,
) -> None:
    readers = [add_reader(sessions, f"{name}@example.org") for name in ("ann", "bob", "cy")]
    for reader, zone in zip(readers, ("Mars/Olympus", "../../etc/passwd", "UTC"), strict=True):
        with sessions() as session:
            mine = update(Subscriber).where(Subscriber.id == reader)
            session.execute(mine.values(timezone=zone))
    add_papers(sessions, TOPICS, MONDAY)
    assert build(sessions, readers, MONDAY) == BuildReport(built=3)
    assert {next_due_at(sessions, reader) for reader in readers} == {MONDAY + DAY}


class TestNothingNew:
    def test_an_edition_without_papers_is_stored_and_not_mailed(self, sessions: Sessions) -> None:
        reader = add_reader(sessions)
        assert build(sessions, reader, MONDAY) == BuildReport(empty=1)
        assert (edition(sessions, reader).items, count(sessions, Delivery)) == ((), 0)
        assert next_due_at(sessions, reader) == MONDAY + DAY

    def test_a_quiet_day_between_full_ones_is_empty(self, sessions: Sessions) -> None:
        reader = add_reader(sessions)
        add_papers(sessions, TOPICS, MONDAY - timedelta(hours=2))
        assert build(sessions, reader, MONDAY).built == 1
        assert build(sessions, reader, MONDAY + DAY).empty == 1
        assert edition(sessions, reader).note == "Nothing new has come in since your last digest."

    def test_a_short_one_says_which_sources_brought_little(self, sessions: Sessions) -> None:
        reader = add_reader(sessions)
        verdicts: dict[str, Verdict] = {
            "arxiv": "quiet", "feeds": "unreachable", "hf": "fresh", "old": "unreadable",
        }  # fmt: skip
        with sessions() as session:
            for name, verdict in verdicts.items():
                day = MONDAY.date() - DAY * (9 if name == "old" else 0)
                row = {"detail": "a weekend", "n_listings": 0, "verdict": verdict}
                session.add(SourceDayRow(source=name, day=day, **row))
        said = "arxiv was quiet (a weekend); feeds could not be reached."
        assert build(sessions, reader, MONDAY).empty == 1
        none = f"No papers have come in yet. Of our sources, {said}"
        assert edition(sessions, reader).note == none
        german = "Zu unseren Quellen: arxiv hatte nichts (Wochenende); feeds war nicht erreichbar."
        assert language("de").said(edition(sessions, reader).note).endswith(german)
        add_papers(sessions, TOPICS, MONDAY + timedelta(hours=2))
        assert build(sessions, reader, MONDAY + DAY).built == 1
        note = edition(sessions, reader, MONDAY + DAY).note
        assert note.endswith(f"Of our sources, {said}")

    def test_an_empty_edition_gives_way_when_papers_come_before_the_hour(
        self, sessions: Sessions
    ) -> None:
        reader = add_reader(sessions, hour=9)
        assert build(sessions, reader, MONDAY) == BuildReport(empty=1)
        add_papers(sessions, TOPICS, MONDAY + timedelta(hours=1))
        at_nine = MONDAY + timedelta(hours=2)
        assert next_due_at(sessions, reader) == at_nine
        assert build(sessions, reader, at_nine) == BuildReport(built=1)
        assert (count(sessions, EditionRow), count(sessions, Delivery)) == (1, 1)
        assert next_due_at(sessions, reader) == at_nine + DAY


class TestWhenItIsFor:
    def test_who_confirms_before_their_hour_has_had_that_days_digest(
        self, sessions: Sessions
    ) -> None:
        reader = add_reader(sessions, hour=7)
        add_papers(sessions, TOPICS, MONDAY - DAY)
        now = MONDAY - timedelta(minutes=1)
        assert build(sessions, reader, now).built == 1
        assert edition(sessions, reader).local_date == MONDAY.date()
        assert next_due_at(sessions, reader) == MONDAY + DAY

    def test_a_mail_lives_until_the_next_digest_is_due(self, sessions: Sessions) -> None:
        for frequency in ("daily", "weekly"):
            reader = add_reader(sessions, f"{frequency}@example.org", frequency=frequency)
            add_papers(sessions, [frequency], MONDAY - DAY)
            build(sessions, reader, MONDAY - timedelta(minutes=1))
            with sessions.reading() as session:
                query = select(Delivery.expires_at).where(Delivery.subscriber_id == reader)
                assert session.scalars(query).one() == next_due_at(sessions, reader)

    def test_what_was_in_a_mail_that_never_left_is_new_again(self, sessions: Sessions) -> None:
        reader = add_reader(sessions)
        add_papers(sessions, TOPICS[:2], MONDAY - DAY)
        build(sessions, reader, MONDAY)
        with sessions() as session:
            sweep(session, MONDAY + DAY)
        add_papers(sessions, TOPICS[2:3], MONDAY + DAY / 2)
        build(sessions, reader, MONDAY + DAY)
        made = edition(sessions, reader)
        assert (made.local_date, made.n_candidates) == ((MONDAY + DAY).date(), 3)
        assert set(titles(made)) == set(TOPICS[:3])

    def test_after_an_outage_one_edition_for_the_last_date_is_made(
        self, sessions: Sessions
    ) -> None:
        reader = add_reader(sessions)
        add_papers(sessions, TOPICS[:1], MONDAY)
        build(sessions, reader, MONDAY)
        for n in range(1, 4):
            add_papers(sessions, [TOPICS[n]], MONDAY + n * DAY)
        assert build(sessions, reader, MONDAY + 3 * DAY + timedelta(hours=2)).built == 1
        made = edition(sessions, reader)
        assert made.local_date == (MONDAY + 3 * DAY).date()
        assert sorted(titles(made)) == sorted(TOPICS[1:])
        assert next_due_at(sessions, reader) == MONDAY + 4 * DAY

    def test_a_clock_that_jumps_into_the_next_day_costs_no_edition(
        self, sessions: Sessions
    ) -> None:
        """At 23:00 on 28 March 2026 it becomes 00:00 in Nuuk, so both dates are due on the 29th."""
        reader = add_reader(sessions, timezone="America/Nuuk", hour=23)
        with sessions() as session:
            session.execute(update(Subscriber).values(next_due_at=datetime.fromisoformat(
                "2026-03-29T01:00+00:00"
            )))  # fmt: skip
        for day in ("2026-03-29T01:00+00:00", "2026-03-30T00:00+00:00"):
            now = datetime.fromisoformat(day)
            add_papers(sessions, [day], now)
            assert build(sessions, reader, now).built == 1
        with sessions.reading() as session:
            dates = session.scalars(select(EditionRow.local_date).order_by(EditionRow.id)).all()
        assert dates == [date(2026, 3, 28), date(2026, 3, 29)]

    @pytest.mark.parametrize("state", ["pending", "paused", "left", "suspended"])
    def test_only_the_active_are_due(self, sessions: Sessions, state: str) -> None:
        reader = add_reader(sessions)
        with sessions() as session:
            assert due_subscribers(session, MONDAY) == [reader]
            session.execute(update(Subscriber).values(state=state))
            assert due_subscribers(session, MONDAY) == []
        assert build(sessions, reader, MONDAY) == BuildReport(skipped=1)


class TestPreview:
    def test_it_writes_nothing_and_is_what_build_then_stores(self, sessions: Sessions) -> None:
        reader = add_reader(sessions, interest="graph networks")
        liked, *_ = add_papers(sessions, ["graph liked"], MONDAY - 2 * DAY)
        with sessions() as session:
            votes.vote(session, reader, liked, "saved", at=MONDAY - DAY, via="cli")
        add_papers(sessions, TOPICS, MONDAY)
        before = rows(sessions)
        with sessions.reading() as session:
            made = preview(session, reader, ENCODER.identity, local_date=MONDAY.date(), now=MONDAY)
        assert rows(sessions) == before
        build(sessions, reader, MONDAY)
        stored = edition(sessions, reader)
        assert replace(stored, edition_id=0) == made.edition
        assert made.edition.items != ()

    def test_it_shows_also_who_is_not_due(self, sessions: Sessions) -> None:
        reader = add_reader(sessions, frequency="weekly")
        add_papers(sessions, TOPICS, MONDAY)
        build(sessions, reader, MONDAY)
        add_papers(sessions, ["one more"], MONDAY + timedelta(hours=1))
        now = MONDAY + 2 * DAY
        with sessions.reading() as session:
            made = preview(session, reader, ENCODER.identity, local_date=now.date(), now=now)
        assert titles(made.edition) == ["one more"]


def test_a_frozen_card_stays_when_the_paper_changes_and_the_abstract_follows(
    sessions: Sessions,
) -> None:
    reader = add_reader(sessions)
    add_papers(sessions, TOPICS[:1], MONDAY)
    build(sessions, reader, MONDAY)
    before = edition(sessions, reader)
    with sessions() as session:
        session.execute(
            update(Paper).values(title="other", abstract="New.", authors=["Eve"], doi="10.1/x")
        )
    after = edition(sessions, reader)
    assert after == replace(before, items=(replace(before.items[0], abstract="New."),))


def test_an_interest_taken_back_does_not_unmake_what_was_frozen(sessions: Sessions) -> None:
    reader = add_reader(sessions, interest="graph networks", mix=1.0)
    add_papers(sessions, TOPICS, MONDAY)
    build(sessions, reader, MONDAY)
    before = edition(sessions, reader)
    with sessions() as session:
        name = before.items[0].reasons[0].name
        set_interest(session, reader, name, "something else", MONDAY)
    assert edition(sessions, reader) == before
    with sessions.reading() as session:
        assert session.scalars(select(EditionItemRow.position)).all() == [
            item.position for item in before.items
        ]
