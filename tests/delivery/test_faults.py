"""What a server can do wrong at any point, and what must be true of the mail then."""

import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from digest.delivery.sending import deliver
from digest.delivery.transport import Smtp, Timeouts
from digest.store import Sessions, open_database
from digest.store.tables import Delivery, DeliveryState, Suppression
from tests.delivery.faulty import POINTS, THINGS, Faulty, Point, Thing, faulty
from tests.delivery.servers import HOST, self_signed
from tests.delivery.world import NOON, POSTAGE, add_mails, read

SHORT, LONG = 0.3, 30.0


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


def patience_with(point: Point, thing: Thing) -> Timeouts:
    """Short where the server will keep us waiting, long elsewhere, so that nothing is flaky."""
    all_long = Timeouts(LONG, LONG, LONG, LONG, 3 * LONG, SHORT)
    if thing not in ("silence", "trickle"):
        return all_long
    match point:
        case "connect" | "banner":
            return replace(all_long, greeting=SHORT)
        case "DATA":
            return replace(all_long, data=SHORT)
        case "mid-body" | "after the dot":
            return replace(all_long, reply=SHORT)
        case _:
            return replace(all_long, command=SHORT)


def must_be(point: Point, thing: Thing) -> set[DeliveryState]:
    """The states in which the first try may leave the mail that met the fault."""
    if point in ("after the reply", "QUIT"):
        return {"sent"}
    if point in ("mid-body", "after the dot") and thing not in ("4xx", "421", "5xx"):
        return {"uncertain"}
    if point == "mid-body" and thing == "421":
        # Whoever hangs up on what is still coming may reset his own last words.
        return {"deferred", "uncertain"}
    if thing == "5xx" and point in ("RCPT", "DATA", "mid-body", "after the dot"):
        return {"failed"}
    return {"deferred"}


def is_accepted(point: Point, state: DeliveryState) -> bool:
    """Whether the server has the mail, once all is over."""
    return state == "sent" or (state == "uncertain" and point == "after the dot")


async def run(sessions: Sessions, server: Faulty, trust: Path, *, hours: int) -> None:
    outlet = Smtp(
        HOST,
        server.port,
        username="digest",
        password="secret",
        connections=1,
        timeouts=patience_with(server.point, server.thing),
        tls_context=ssl.create_default_context(cafile=str(trust)),
        local_hostname="localhost",
    )
    now = NOON + timedelta(hours=hours)
    report = await deliver(sessions, outlet, POSTAGE, clock=lambda: now)
    assert report.doubts == ()
    assert report.due == report.states.total() + report.released


@pytest.mark.parametrize("ahead", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("point", POINTS)
async def test_no_mail_is_lost_and_none_is_doubled(
    sqlite_url: str,
    tls: ssl.SSLContext,
    certificate: tuple[Path, Path],
    point: Point,
    thing: Thing,
    *,
    ahead: bool,
) -> None:
    sessions = open_database(sqlite_url)
    await all_goes_well(sessions, tls, certificate, point, thing, ahead=ahead)
    sessions.engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("point", POINTS)
async def test_nor_on_postgresql(
    postgres_url: str,
    tls: ssl.SSLContext,
    certificate: tuple[Path, Path],
    point: Point,
    thing: Thing,
) -> None:
    sessions = open_database(postgres_url)
    await all_goes_well(sessions, tls, certificate, point, thing, ahead=True)
    sessions.engine.dispose()


async def all_goes_well(
    sessions: Sessions,
    tls: ssl.SSLContext,
    certificate: tuple[Path, Path],
    point: Point,
    thing: Thing,
    *,
    ahead: bool,
) -> None:
    first, second = add_mails(sessions, 2)
    async with faulty(point, thing, tls, ahead=ahead) as server:
        await run(sessions, server, certificate[0], hours=0)
        assert not server.armed, "the fault was met"
        after = read(sessions, first)
        assert after.state in must_be(point, thing)
        assert (after.claimed_until, after.settled_at is None) == (None, after.state == "deferred")
        for hours in (1, 3, 7):
            await run(sessions, server, certificate[0], hours=hours)
    for mail in (first, second):
        row = read(sessions, mail)
        assert row.state == ("sent" if row.id == second else replace_deferred(after.state))
        assert server.accepted[row.message_id] == is_accepted(point, row.state)
    with sessions.reading() as session:
        assert (
            session.scalars(select(Delivery.state).where(Delivery.state == "deferred")).all() == []
        )
        is_suppressed = session.scalars(select(Suppression.reason)).all() == ["bounced 5.1.1"]
        assert is_suppressed == ((point, thing) == ("RCPT", "5xx"))


def replace_deferred(state: DeliveryState) -> DeliveryState:
    """What comes of a state once the server is well again."""
    return "sent" if state == "deferred" else state
