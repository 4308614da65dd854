"""Forms of the subscribe page, by the clock: asked, confirmed, read, and in the first edition."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from digest import subscribers
from digest.editions import edition_of
from digest.links import Claim
from digest.settings import SubscriberDefaults
from digest.store.tables import Signup, VoteRow
from digest.subscribers import SignupForm, SignupLimits, find, sign_up
from tests.engine.world import SEVEN, Installation, installed, results

BIB = (
    b"@article{a, title={Proteins that fold backwards}, abstract={We study proteins that fold.}}\n"
)


@pytest.fixture
def here(tmp_path: Path, database_url: str) -> Iterator[Installation]:
    with installed(tmp_path, database_url) as made:
        yield made


def send(here: Installation, address: str, library: bytes = b"") -> None:
    asked = subscribers.parse_subscription({"address": address, "length": 2}, SubscriberDefaults())
    with here.app.sessions() as session:
        sign_up(
            session,
            SignupForm(asked, (), library),
            network="192.0.2.0/24",
            proven=None,
            limits=SignupLimits(30, 500),
            secret=here.app.secret,
            now=here.clock.now,
        )


def confirm(here: Installation, address: str) -> int:
    with here.app.sessions() as session:
        who = find(session, address).id
        claim = Claim("confirm", who, here.clock.now + timedelta(days=1))
        subscribers.confirm(session, claim, now=here.clock.now)
    return who


def test_a_form_is_asked_at_the_next_tick_and_its_library_shapes_the_first_edition(
    here: Installation,
) -> None:
    here.publish("robots that walk", "proteins that fold", "cooking with gas")
    send(here, "ann@example.org", BIB)
    assert here.mails() == []
    done = results(here.tick())
    assert [said for key, said in done.items() if key.startswith("signup:")] == ["asked"]
    assert here.mails() == [("confirmation", "sent")]
    here.clock.now += timedelta(minutes=5)
    who = confirm(here, "ann@example.org")
    done = results(here.tick())
    assert "1 papers and 0 interests read" in done.values()
    assert here.mails() == [("confirmation", "sent"), ("edition", "sent")]
    with here.app.sessions.reading() as session:
        made = edition_of(session, who)
        assert session.scalars(select(VoteRow.via)).all() == ["import"]
    assert made.items[0].title == "proteins that fold"
    assert made.items[0].reasons[0].title == "Proteins that fold backwards"
    assert here.leases() == []


def test_libraries_that_break_hold_up_nobody_else_though_one_look_takes_up_no_more(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digest.engine.jobs.SIGNUPS", 1)
    for name in ("ann", "bob"):
        send(here, f"{name}@example.org", BIB)
    here.tick()
    for name in ("ann", "bob"):
        confirm(here, f"{name}@example.org")
    with here.app.sessions() as session:
        first = session.scalars(select(Signup.id).order_by(Signup.id)).first()
        session.execute(update(Signup).where(Signup.id == first).values(library=b"no zlib"))
    report = here.tick()
    assert [one.job.key for one in report.failed] == [f"signup:{first}"]
    assert here.leases() == [f"signup:{first}"]
    with here.app.sessions.reading() as session:
        assert len(session.scalars(select(VoteRow.subscriber_id)).all()) == 1
    assert here.clock.now == SEVEN
