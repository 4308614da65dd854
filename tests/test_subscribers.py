import json
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import event, func, select, text, update

import digest.subscribers as subscribers
from digest.delivery.suppression import lift, suppress
from digest.errors import BadInput, Unknown
from digest.links import Claim
from digest.profiles.interests import set_interest
from digest.settings import SubscriberDefaults
from digest.store import Sessions
from digest.store.tables import (
    Attempt,
    Base,
    Consent,
    Delivery,
    Interest,
    Mute,
    Subscriber,
    VoteRow,
)
from digest.subscribers import Subscription, parse_subscription
from digest.subscribers.exchange import EXPORTED, LINES_AT_ONCE, NOT_EXPORTED, tables_of_subscribers
from tests.web.seed import NOON, add_edition, add_paper, add_subscriber

DEFAULTS = SubscriberDefaults()
SECRET = b"a secret of enough bytes"
A_DAY = timedelta(days=1)


def asked(address: str = "ann@example.org", **values: object) -> Subscription:
    return parse_subscription({"address": address, **values}, DEFAULTS)


def sign_up(sessions: Sessions, subscription: Subscription, now: datetime = NOON) -> str:
    with sessions() as session:
        return subscribers.subscribe(session, subscription, secret=SECRET, now=now)


def added(
    sessions: Sessions, subscription: Subscription, now: datetime = NOON, *, confirmed: bool = True
) -> str:
    with sessions() as session:
        given = asdict(subscription)
        return subscribers.add(
            session, given, DEFAULTS, secret=SECRET, now=now, confirmed=confirmed
        ).outcome


def found(sessions: Sessions, address: str = "ann@example.org") -> subscribers.SubscriberView:
    with sessions.reading() as session:
        return subscribers.find(session, address)


def confirmed(sessions: Sessions, address: str = "ann@example.org", now: datetime = NOON) -> None:
    claim = Claim("confirm", found(sessions, address).id, now + A_DAY)
    with sessions() as session:
        subscribers.confirm(session, claim, now=now)


def left(sessions: Sessions, address: str = "ann@example.org", now: datetime = NOON) -> None:
    claim = Claim("unsubscribe", found(sessions, address).id, now + A_DAY)
    with sessions() as session:
        subscribers.leave(session, claim, now=now, why="the link in a mail")


def mails(sessions: Sessions, state: str = "queued") -> int:
    with sessions.reading() as session:
        n = session.scalar(select(func.count()).where(Delivery.state == state))
    return n or 0


def consents(sessions: Sessions) -> list[str]:
    with sessions.reading() as session:
        return list(session.scalars(select(Consent.kind).order_by(Consent.id)))


def interests(sessions: Sessions) -> dict[str, str]:
    with sessions.reading() as session:
        return dict(session.execute(select(Interest.name, Interest.text)).all())


# What may be asked for


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("address", "ann", "'ann' is no e-mail address"),
        ("address", "", "is no e-mail address"),
        ("address", "Ann <ann@example.org>", "is no e-mail address"),
        ("timezone", "Europa/Berlin", "did you mean Europe/Berlin?"),
        ("timezone", "", "an IANA name like Europe/Berlin"),
        ("timezone", "localtime", "an IANA name like Europe/Berlin"),
        ("timezone", "Factory", "an IANA name like Europe/Berlin"),
        ("hour", "24", "an hour from 0 to 23, not '24'"),
        ("hour", "7.5", "an hour from 0 to 23"),
        ("frequency", "hourly", "daily, weekdays or weekly, not 'hourly'"),
        ("length", "0", "from 1 to 30"),
        ("mix", "nan", "from 0 .* to 1"),
        ("min_probability", "1.5", "a probability from 0 to 1, or none, not '1.5'"),
        ("min_probability", "-0.1", "a probability from 0 to 1"),
        ("min_probability", "nan", "a probability from 0 to 1"),
        ("min_probability", "often", "a probability from 0 to 1"),
        ("interest", "\n".join(f"topic {n}" for n in range(21)), "at most 20 lines"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(field: str, value: str, said: str) -> None:
    values = {"address": "ann@example.org", field: value}
    with pytest.raises(BadInput, match=f"^{field}: .*{said}"):
        parse_subscription(values, DEFAULTS)
    assert list(subscribers.faults_in(values, DEFAULTS)) == [field]


def test_every_fault_of_a_form_is_told_at_once() -> None:
    values = {"address": "ann", "timezone": "Mars", "hour": "25", "frequency": "daily"}
    assert list(subscribers.faults_in(values, DEFAULTS)) == ["address", "timezone", "hour"]


def test_texts_from_a_form_are_read_and_gaps_are_filled_with_the_defaults() -> None:
    asked_for = parse_subscription(
        {"address": " Ann@EXAMPLE.org ", "hour": "9", "mix": "0.5", "nonsense": "1"}, DEFAULTS
    )
    assert asked_for == Subscription("Ann@example.org", "UTC", 9, "daily", 8, 0.5)


@pytest.mark.parametrize(
    ("given", "kept"),
    [(0, 0.0), ("0.3", 0.3), (" 1 ", 1.0), (None, None), ("", None), (" None ", None)],
)
def test_a_least_probability_is_a_number_or_none(given: object, kept: float | None) -> None:
    assert asked(min_probability=given).min_probability == kept
    assert asked().min_probability is None


def test_interests_are_one_a_line_and_free_of_control_characters() -> None:
    text_ = "  graph\x00 networks \r\n\r\n\udcffprotein folding\n&nbsp;\n"
    assert asked(interest=text_).interest == "graph networks\nprotein folding"


# Signing up


def test_signing_up_makes_a_pending_subscriber_and_queues_one_mail(sessions: Sessions) -> None:
    long = "causal inference from observational data in economics and medicine"
    assert sign_up(sessions, asked(hour="9", interest=f"graph networks\n{long}")) == "asked"
    view = found(sessions)
    assert (view.state, view.hour, view.confirmed_at, view.next_due_at) == (
        "pending",
        9,
        None,
        None,
    )
    assert mails(sessions) == 1
    assert consents(sessions) == ["asked"]
    assert interests(sessions) == {
        "graph networks": "graph networks",
        "causal inference from observational data in economics and m…": long,
    }


def test_asking_six_times_in_a_day_mails_once_and_the_next_day_once_more(
    sessions: Sessions,
) -> None:
    for n in range(6):
        sign_up(sessions, asked(interest=f"attempt {n}"), NOON + timedelta(hours=n))
    assert mails(sessions) == 1
    assert consents(sessions) == ["asked"]
    assert interests(sessions) == {"attempt 5": "attempt 5"}
    assert sign_up(sessions, asked(), NOON + A_DAY) == "asked"
    assert mails(sessions) == 2


def test_an_address_is_one_subscriber_however_it_is_spelt(sessions: Sessions) -> None:
    sign_up(sessions, asked("Ann@Bücher.example.org"))
    assert sign_up(sessions, asked("ann@xn--bcher-kva.EXAMPLE.org")) == "asked already"
    assert found(sessions, "ANN@bücher.example.org").address == "Ann@bücher.example.org"


def test_confirming_makes_active_and_the_first_edition_due_at_once(sessions: Sessions) -> None:
    sign_up(sessions, asked())
    later = NOON + timedelta(minutes=5)
    confirmed(sessions, now=later)
    view = found(sessions)
    assert (view.state, view.confirmed_at, view.next_due_at) == ("active", later, later)
    assert consents(sessions) == ["asked", "confirmed"]


def test_confirming_twice_changes_nothing(sessions: Sessions) -> None:
    sign_up(sessions, asked())
    confirmed(sessions)
    once = found(sessions)
    confirmed(sessions, now=NOON + timedelta(hours=1))
    assert found(sessions) == once
    assert consents(sessions) == ["asked", "confirmed"]


def test_a_stranger_signing_up_an_active_subscriber_changes_nothing(sessions: Sessions) -> None:
    sign_up(sessions, asked())
    confirmed(sessions)
    before = found(sessions)
    asked_again = asked(hour="3", interest="spam")
    assert sign_up(sessions, asked_again, NOON + A_DAY) == "subscribed already"
    assert found(sessions) == before
    assert (mails(sessions), interests(sessions)) == (1, {})


def test_a_suppressed_address_is_not_stored_and_not_mailed(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "digest.subscribers.life.is_suppressed",
        lambda _session, address, secret: (address, secret) == ("ann@example.org", SECRET),
    )
    assert sign_up(sessions, asked()) == "suppressed"
    with pytest.raises(Unknown):
        found(sessions)


def test_whoever_left_can_come_back_by_confirming_again(sessions: Sessions) -> None:
    sign_up(sessions, asked())
    confirmed(sessions)
    left(sessions, now=NOON + timedelta(hours=1))
    assert sign_up(sessions, asked(), NOON + timedelta(hours=2)) == "asked"
    assert found(sessions).state == "pending"
    confirmed(sessions, now=NOON + timedelta(hours=3))
    assert found(sessions).state == "active"
    assert consents(sessions) == ["asked", "confirmed", "left", "asked", "confirmed"]


def test_an_old_confirmation_does_not_bring_back_who_has_left(sessions: Sessions) -> None:
    sign_up(sessions, asked())
    confirmed(sessions)
    left(sessions)
    with pytest.raises(BadInput, match="unsubscribed after that mail"):
        confirmed(sessions)
    assert found(sessions).state == "left"


def test_nobody_is_confirmed_by_the_link_of_one_who_is_gone(sessions: Sessions) -> None:
    with sessions() as session, pytest.raises(Unknown):
        subscribers.confirm(session, Claim("confirm", 404, NOON + A_DAY), now=NOON)


def test_an_erased_subscribers_link_never_opens_anothers_account(sessions: Sessions) -> None:
    sign_up(sessions, asked("ann@example.org"))
    claim = Claim("unsubscribe", found(sessions).id, NOON + A_DAY)
    with sessions() as session:
        subscribers.erase(session, "ann@example.org")
    sign_up(sessions, asked("bob@example.org"))
    with sessions() as session, pytest.raises(Unknown):
        subscribers.leave(session, claim, now=NOON, why="an old mail")


def test_a_sign_up_that_nobody_confirms_is_forgotten_in_a_week(sessions: Sessions) -> None:
    sign_up(sessions, asked("ann@example.org"))
    sign_up(sessions, asked("bob@example.org"), NOON + A_DAY)
    with sessions() as session:
        assert subscribers.expire_pending(session, NOON + timedelta(days=7, minutes=-1)) == 0
        assert subscribers.expire_pending(session, NOON + timedelta(days=7)) == 1
        assert [view.address for view in subscribers.list_subscribers(session)] == [
            "bob@example.org"
        ]


def test_one_who_left_and_did_not_confirm_again_stays_left(sessions: Sessions) -> None:
    added(sessions, asked())
    left(sessions)
    sign_up(sessions, asked(), NOON + A_DAY)
    with sessions() as session:
        assert subscribers.expire_pending(session, NOON + timedelta(days=9)) == 1
    assert found(sessions).state == "left"


# Leaving


def test_leaving_stops_what_is_due_and_what_is_queued(sessions: Sessions) -> None:
    added(sessions, asked())
    with sessions() as session:
        add_edition(session, found(sessions).id, [], queued=True)
    left(sessions)
    view = found(sessions)
    assert (view.state, view.next_due_at) == ("left", None)
    assert (mails(sessions), mails(sessions, "cancelled")) == (0, 1)
    assert consents(sessions) == ["added by operator", "left"]


def test_leaving_twice_is_leaving_once(sessions: Sessions) -> None:
    added(sessions, asked())
    left(sessions)
    left(sessions, now=NOON + A_DAY)
    assert consents(sessions) == ["added by operator", "left"]


# What an operator does


def test_adding_makes_active_at_once_and_says_so(sessions: Sessions) -> None:
    assert added(sessions, asked(interest="graphs")) == "added"
    view = found(sessions)
    assert (view.state, view.next_due_at, view.confirmed_at) == ("active", NOON, NOON)
    assert mails(sessions) == 0


def test_adding_the_same_again_changes_nothing(sessions: Sessions) -> None:
    added(sessions, asked(interest="graphs"))
    before = found(sessions)
    assert added(sessions, asked(interest="graphs"), NOON + A_DAY) == "unchanged"
    assert found(sessions) == before


def test_an_interest_that_begins_like_another_takes_no_ones_place(sessions: Sessions) -> None:
    """Names are cut, and one may have been given by hand."""
    told = "statistical methods for the analysis of longitudinal biomedical data: "
    texts = [f"{told}{what}" for what in ("mixed models", "missing values", "survival")]
    assert added(sessions, asked(interest="\n".join([*texts, texts[0]]))) == "added"
    assert sorted(interests(sessions).values()) == sorted(texts)
    assert sorted(name[-4:] for name in interests(sessions)) == [" (2)", " (3)", "med…"]
    with sessions() as session:
        reader = subscribers.find(session, "ann@example.org").id
        set_interest(session, reader, "graphs", "what I wrote with care", NOON)
    assert added(sessions, asked(interest="graphs")) == "changed"
    assert added(sessions, asked(interest="graphs")) == "unchanged"
    assert interests(sessions)["graphs"] == "what I wrote with care"
    assert interests(sessions)["graphs (2)"] == "graphs"


def test_adding_with_other_settings_changes_them_and_the_next_edition(sessions: Sessions) -> None:
    added(sessions, asked())
    assert added(sessions, asked(timezone="Asia/Tokyo", hour=8)) == "changed"
    assert found(sessions).next_due_at == datetime(2026, 3, 1, 23, tzinfo=UTC)


def test_adding_again_changes_what_is_given_and_keeps_the_rest(sessions: Sessions) -> None:
    added(sessions, asked(timezone="Europe/Paris", hour="9", mix="0.5"))
    with sessions() as session:
        again = {"address": "ANN@example.org", "hour": "8"}
        assert (
            subscribers.add(session, again, DEFAULTS, secret=SECRET, now=NOON).outcome == "changed"
        )
    view = found(sessions)
    assert (view.timezone, view.hour, view.mix) == ("Europe/Paris", 8, 0.5)


def test_what_does_not_say_when_moves_no_edition(sessions: Sessions) -> None:
    added(sessions, asked())
    with sessions() as session:
        again = {"address": "ann@example.org", "mix": 0.5, "min_probability": "0.3"}
        assert (
            subscribers.add(session, again, DEFAULTS, secret=SECRET, now=NOON + A_DAY).outcome
            == "changed"
        )
    view = found(sessions)
    assert (view.min_probability, view.next_due_at) == (0.3, NOON)


def test_a_least_probability_is_switched_off_by_none_and_kept_by_a_gap(
    sessions: Sessions,
) -> None:
    for given, kept in (("0.4", 0.4), ("", 0.4), ("none", None)):
        file = f"address,min_probability\nann@example.org,{given}\n"
        report = subscribers.import_subscribers(
            sessions, file, defaults=DEFAULTS, secret=SECRET, now=NOON
        )
        assert report.problems == ()
        assert found(sessions).min_probability == kept
    with sessions() as session:
        subscribers.change(session, "ann@example.org", {"min_probability": 0.2}, now=NOON)
    assert found(sessions).min_probability == 0.2


@pytest.mark.parametrize("state", ["", "active", "suspended"])
@pytest.mark.parametrize("confirmed", [True, False])
def test_who_must_not_be_mailed_is_not_added(
    sessions: Sessions, state: str, confirmed: bool
) -> None:
    if state:
        added(sessions, asked(hour=9))
    with sessions() as session:
        session.execute(update(Subscriber).values(state=state or "active"))
        suppress(session, "ann@example.org", SECRET, reason="complaint", now=NOON)
    assert added(sessions, asked(hour=5), confirmed=confirmed) == "is suppressed"
    file = "ANN@example.org\nbob@example.org\n"
    report = subscribers.import_subscribers(
        sessions, file, defaults=DEFAULTS, secret=SECRET, now=NOON
    )
    assert report.outcomes == {"is suppressed": 1, "added": 1}
    with sessions.reading() as session:
        rows = session.execute(select(Subscriber.address, Subscriber.hour, Subscriber.state))
        assert set(rows) == {("bob@example.org", 7, "active")} | (
            {("ann@example.org", 9, state)} if state else set()
        )
    assert mails(sessions) == 0


def test_adding_unconfirmed_asks_the_subscriber(sessions: Sessions) -> None:
    assert added(sessions, asked(), confirmed=False) == "added"
    assert (found(sessions).state, mails(sessions)) == ("pending", 1)
    assert added(sessions, asked()) == "changed"
    assert found(sessions).state == "active"


def test_an_operator_cannot_bring_back_who_has_left_but_can_ask(sessions: Sessions) -> None:
    added(sessions, asked())
    left(sessions)
    assert added(sessions, asked()) == "has left"
    assert found(sessions).state == "left"
    assert added(sessions, asked(), NOON + A_DAY, confirmed=False) == "changed"
    assert (found(sessions).state, mails(sessions)) == ("pending", 1)


def test_a_pause_holds_mail_back_until_its_day(sessions: Sessions) -> None:
    added(sessions, asked(timezone="America/New_York", hour=0))
    with sessions() as session:
        view = subscribers.pause(session, "ann@example.org", date(2026, 3, 9), now=NOON)
    back = datetime(2026, 3, 9, 4, tzinfo=UTC)  # midnight in New York, a day after its clock change
    assert (view.state, view.paused_until, view.next_due_at) == ("paused", date(2026, 3, 9), back)
    with sessions() as session:
        assert subscribers.wake(session, back - timedelta(seconds=1)) == 0
        assert subscribers.wake(session, back) == 1
    view = found(sessions)
    assert (view.state, view.paused_until, view.next_due_at) == ("active", None, back)


def test_what_is_set_during_a_pause_counts_when_it_ends(sessions: Sessions) -> None:
    added(sessions, asked(timezone="America/New_York", hour=0))
    with sessions() as session:
        subscribers.pause(session, "ann@example.org", date(2026, 3, 10), now=NOON)
        changed = {"timezone": "Asia/Tokyo", "hour": 18, "frequency": "weekly"}
        view = subscribers.change(session, "ann@example.org", changed, now=NOON)
    assert (view.state, view.paused_until) == ("paused", date(2026, 3, 10))
    assert view.next_due_at == datetime(2026, 3, 16, 9, tzinfo=UTC)
    with sessions() as session:
        subscribers.pause(session, "ann@example.org", None, now=NOON)
        view = subscribers.change(session, "ann@example.org", {"hour": 7}, now=NOON)
    assert (view.state, view.next_due_at) == ("paused", None)


def test_a_pause_without_an_end_lasts_until_it_is_resumed(sessions: Sessions) -> None:
    added(sessions, asked())
    with sessions() as session:
        subscribers.pause(session, "ann@example.org", None, now=NOON)
        assert subscribers.wake(session, NOON + timedelta(days=999)) == 0
        view = subscribers.resume(session, "ann@example.org", secret=SECRET, now=NOON)
    assert (view.state, view.next_due_at) == ("active", datetime(2026, 3, 2, 7, tzinfo=UTC))


def test_a_pause_ends_in_the_future_and_is_for_the_active(sessions: Sessions) -> None:
    added(sessions, asked())
    days = {NOON.date(): "a day to come", date(2201, 1, 1): "no later than 2200", date.max: "2200"}
    for day, said in days.items():
        with sessions() as session, pytest.raises(BadInput, match=f"^until: must be .*{said}"):
            subscribers.pause(session, "ann@example.org", day, now=NOON)
    left(sessions)
    refused = pytest.raises(BadInput, match=r"ann@example\.org is left")
    with sessions() as session, refused:
        subscribers.pause(session, "ann@example.org", None, now=NOON)
    with sessions() as session, refused:
        subscribers.resume(session, "ann@example.org", secret=SECRET, now=NOON)


def test_who_is_on_the_suppression_list_is_not_resumed(sessions: Sessions) -> None:
    added(sessions, asked())
    with sessions() as session:
        subscribers.pause(session, "ann@example.org", None, now=NOON)
        suppress(session, "ann@example.org", SECRET, reason="complaint", now=NOON)
    with sessions() as session, pytest.raises(BadInput, match="digest suppressions remove"):
        subscribers.resume(session, "ann@example.org", secret=SECRET, now=NOON)
    with sessions() as session:
        lift(session, "ann@example.org", SECRET)
        view = subscribers.resume(session, "ann@example.org", secret=SECRET, now=NOON)
    assert view.state == "active"


def test_changing_checks_like_signing_up_and_keeps_the_rest(sessions: Sessions) -> None:
    added(sessions, asked(length=5))
    with sessions() as session:
        view = subscribers.change(session, "ann@example.org", {"hour": "18"}, now=NOON)
    assert (view.hour, view.length) == (18, 5)
    assert view.next_due_at == datetime(2026, 3, 1, 18, tzinfo=UTC)
    with sessions() as session, pytest.raises(BadInput, match=r"^hour: "):
        subscribers.change(session, "ann@example.org", {"hour": 24}, now=NOON)


def test_finding_nobody_names_the_nearest(sessions: Sessions) -> None:
    added(sessions, asked())
    with pytest.raises(Unknown, match=r"did you mean ann@example\.org\?"):
        found(sessions, "anne@example.org")


def test_listing_goes_by_address_and_state(sessions: Sessions) -> None:
    for name in ("cleo", "ann", "bob"):
        added(sessions, asked(f"{name}@example.org"))
    left(sessions, "bob@example.org")
    with sessions.reading() as session:
        names = [view.address[:3] for view in subscribers.list_subscribers(session)]
        active = [view.address[:3] for view in subscribers.list_subscribers(session, "active", 1)]
    assert (names, active) == (["ann", "bob", "cle"], ["ann"])


def test_listing_a_state_that_there_is_not_names_those_that_there_are(sessions: Sessions) -> None:
    with sessions.reading() as session, pytest.raises(BadInput, match=r"active.*, not 'lost'"):
        subscribers.list_subscribers(session, "lost")


def test_erasing_leaves_nothing_that_belongs_to_the_subscriber(sessions: Sessions) -> None:
    added(sessions, asked(interest="graphs"))
    with sessions() as session:
        paper_id = add_paper(session, "A paper")
        add_edition(session, found(sessions).id, [paper_id], queued=True)
        session.add(VoteRow(subscriber_id=1, paper_id=paper_id, value="up", via="web", at=NOON))
        session.add(Mute(subscriber_id=1, kind="word", text="GAN", created_at=NOON))
    with sessions() as session:
        subscribers.erase(session, "ann@example.org")
    owned = [t for t in Base.metadata.sorted_tables if "subscriber_id" in t.columns]
    with sessions.reading() as session:
        for table in (Subscriber.__table__, *owned):
            assert session.scalar(select(func.count()).select_from(table)) == 0
        assert session.scalar(text("SELECT count(*) FROM papers")) == 1


# Files


def test_an_export_holds_everything_and_is_json(sessions: Sessions) -> None:
    added(sessions, asked(interest="graphs"))
    with sessions() as session:
        paper_id = add_paper(session, "A paper")
        add_edition(session, 1, [paper_id], queued=True)
        session.add(VoteRow(subscriber_id=1, paper_id=paper_id, value="up", via="web", at=NOON))
        session.add(Mute(subscriber_id=1, kind="word", text="GAN", created_at=NOON))
    with sessions.reading() as session:
        everything = json.loads(json.dumps(subscribers.export(session, "ann@example.org")))
    assert everything["subscriber"]["address"] == "ann@example.org"
    assert everything["interests"][0]["text"] == "graphs"
    assert everything["mutes"][0] == {"kind": "word", "text": "GAN", "created_at": NOON.isoformat()}
    assert everything["votes"][0]["title"] == "A paper"
    assert everything["votes"][0]["at"] == "2026-03-01T12:00:00+00:00"
    assert everything["editions"][0]["local_date"] == "2026-03-01"
    assert everything["consents"][0]["kind"] == "added by operator"
    assert everything["deliveries"][0]["state"] == "queued"


def test_an_export_has_a_part_for_every_table_that_names_a_subscriber() -> None:
    """A new table fails here until it is exported, or its reason is written down."""
    assert tables_of_subscribers() == {*EXPORTED, *NOT_EXPORTED}
    assert all(reason for reason in NOT_EXPORTED.values())
    assert not {*EXPORTED} & {*NOT_EXPORTED}


def test_an_export_leaves_out_only_what_says_nothing_of_a_person(sessions: Sessions) -> None:
    added(sessions, asked(interest="graphs"))
    with sessions() as session:
        paper_id = add_paper(session, "A paper")
        add_edition(session, 1, [paper_id], queued=True)
        session.add(Attempt(delivery_id=1, at=NOON, state="deferred", code=450, reply="later"))
        add_edition(session, add_subscriber(session, "bob@example.org"), [paper_id], queued=True)
    with sessions.reading() as session:
        everything = subscribers.export(session, 1)
    assert set(everything) == {"subscriber", *EXPORTED} - {"subscribers"}
    assert everything["subscriber"]["bounce_points"] == 0
    assert everything["attempts"][0]["reply"] == "later"
    assert everything["edition_items"][0]["title"] == "A paper"
    assert [len(everything[name]) for name in ("editions", "deliveries", "attempts")] == [1, 1, 1]
    for name, table in Base.metadata.tables.items():
        if name in EXPORTED and name != "subscribers" and everything[name]:
            left_out = {column.name for column in table.columns} - set(everything[name][0])
            assert left_out <= {"subscriber_id", "text_hash", "claimed_by", "claimed_until"}


CSV = """\ufeffaddress,timezone,hour,interest
ann@example.org,Europe/Paris,,"graphs
proteins"

bob@example.org,,9,
ann@example.org,,,
"""
JSON_LINES = r"""
{"address": "ann@example.org", "timezone": "Europe/Paris", "interest": "graphs\nproteins"}

{"address": "bob@example.org", "hour": 9}
{"address": "ann@example.org"}
"""


OF_EXCEL = CSV.replace(",", ";").replace("address", "E-Mail").replace("interest", "Interests")


@pytest.mark.parametrize(
    "file", [CSV, CSV.replace("\n", "\r\n"), CSV.replace(",", "\t"), OF_EXCEL, JSON_LINES]
)
def test_a_list_of_subscribers_is_taken_on(sessions: Sessions, file: str) -> None:
    report = subscribers.import_subscribers(
        sessions, file, defaults=DEFAULTS, secret=SECRET, now=NOON
    )
    assert (report.outcomes, report.problems) == ({"added": 2, "unchanged": 1}, ())
    assert found(sessions, "ann@example.org").timezone == "Europe/Paris"
    assert found(sessions, "bob@example.org").hour == 9
    assert set(interests(sessions)) == {"graphs", "proteins"}


def test_addresses_alone_are_a_list_too(sessions: Sessions) -> None:
    file = "ann@example.org\nbob@example.org\n"
    report = subscribers.import_subscribers(
        sessions, file, defaults=DEFAULTS, secret=SECRET, now=NOON
    )
    assert report.outcomes == {"added": 2}


def test_columns_of_other_things_are_passed_over_and_named(sessions: Sessions) -> None:
    file = "Name,Email,Interests,Room,\nAnn,ann@example.org,graphs,,\nBob,bob@example.org,,2,\n"
    report = subscribers.import_subscribers(
        sessions, file, defaults=DEFAULTS, secret=SECRET, now=NOON
    )
    assert (report.outcomes, report.problems) == ({"added": 2}, ())
    assert report.passed_over == ("name", "room")
    assert set(interests(sessions)) == {"graphs"}


def test_headings_and_values_as_forms_and_spreadsheets_write_them_are_read(
    sessions: Sessions,
) -> None:
    file = "First,Email Address,Frequency,Notes\nAnn,ann@example.org,Weekly,a friend\n"
    report = subscribers.import_subscribers(
        sessions, file, defaults=DEFAULTS, secret=SECRET, now=NOON
    )
    assert (report.outcomes, report.problems) == ({"added": 1}, ())
    assert report.passed_over == ("first", "notes")
    assert found(sessions, "ann@example.org").frequency == "weekly"


def test_without_a_heading_for_addresses_nothing_is_taken_on(sessions: Sessions) -> None:
    file = "name,adress\nAnn,ann@example.org\n" * 2
    report = subscribers.import_subscribers(
        sessions, file, defaults=DEFAULTS, secret=SECRET, now=NOON
    )
    assert report.outcomes == {}
    assert report.problems == ("line 1: no heading is address or email",)


def test_others_may_write_while_a_long_list_is_taken_on(sessions: Sessions) -> None:
    file = "".join(f"r{n}@example.org\n" for n in range(2 * LINES_AT_ONCE + 1))
    commits: list[object] = []
    event.listen(sessions.engine, "commit", commits.append)
    report = subscribers.import_subscribers(
        sessions, file, defaults=DEFAULTS, secret=SECRET, now=NOON
    )
    assert (report.outcomes, len(commits)) == ({"added": 2 * LINES_AT_ONCE + 1}, 3)


def test_a_bad_line_is_told_and_the_others_are_taken(sessions: Sessions) -> None:
    file = "address,hours\nann@example.org,7\nbob,\ncleo@example.org,,\ndora@example.org,\n"
    report = subscribers.import_subscribers(
        sessions, file, defaults=DEFAULTS, secret=SECRET, now=NOON
    )
    assert report.outcomes == {"added": 2}
    assert [problem.split(":")[0] for problem in report.problems] == ["line 1", "line 3", "line 4"]
    assert "did you mean hour?" in report.problems[0]


def test_bad_json_lines_are_told_and_the_others_are_taken(sessions: Sessions) -> None:
    file = '{"address": "ann@example.org"}\n{"address": 7}\n[1]\n{oops\n{"adress": "b@example.org"}'
    report = subscribers.import_subscribers(
        sessions, file, defaults=DEFAULTS, secret=SECRET, now=NOON
    )
    assert report.outcomes == {"added": 1}
    assert [problem.split(":")[0] for problem in report.problems] == [
        "line 2",
        "line 3",
        "line 4",
        "line 5",
    ]
