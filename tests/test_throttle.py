"""What a network may ask of us: how much at once, how much later, and who counts as one."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from digest.store import Sessions
from digest.store.tables import Throttle
from digest.subscribers.throttle import forget_whole, network_of, spend, throttle_key

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"a secret of enough bytes"


def spent(sessions: Sessions, now: datetime = NOON, *, key: str = "k", cost: float = 1) -> bool:
    """Whether some of an allowance of 5 at once and 10 an hour was left."""
    with sessions() as session:
        return spend(session, key, per_hour=10, burst=5, cost=cost, now=now) is not None


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.1", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a unix socket", "a unix socket"),
        ("", ""),
    ],
)
def test_a_network_is_a_slash_24_or_a_slash_64(host: str, network: str) -> None:
    assert network_of(host) == network


def test_an_allowance_is_spent_at_once_and_comes_back_bit_by_bit(sessions: Sessions) -> None:
    assert [spent(sessions) for _ in range(7)] == [True] * 5 + [False] * 2
    soon = NOON + timedelta(minutes=6)
    assert [spent(sessions, soon) for _ in range(2)] == [True, False]
    later = NOON + timedelta(days=1)
    assert [spent(sessions, later) for _ in range(7)] == [True] * 5 + [False] * 2
    assert spent(sessions, key="another")


def test_what_costs_more_is_had_less_often(sessions: Sessions) -> None:
    assert [spent(sessions, cost=2) for _ in range(3)] == [True, True, False]
    assert not spent(sessions, key="new", cost=6)


def test_many_who_ask_at_once_get_no_more_than_there_is(sessions: Sessions) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: spent(sessions), range(40))) == 5


def test_a_whole_allowance_is_forgotten_and_its_key_tells_no_name(sessions: Sessions) -> None:
    key = throttle_key("network", "192.0.2.0/24", SECRET)
    assert len(key) == 64
    assert key != throttle_key("network", "192.0.2.0/24", b"another secret")
    spent(sessions, key=key)
    with sessions() as session:
        forget_whole(session, NOON)
        assert session.scalar(select(func.count()).select_from(Throttle)) == 1
        forget_whole(session, NOON + timedelta(hours=1))
        assert session.scalar(select(func.count()).select_from(Throttle)) == 0
