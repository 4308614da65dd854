"""What sending is measured with are whole editions, as a reader would get them."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from digest.delivery.letters import compose_letter, read_letters
from digest.delivery.outbox import n_due
from digest.evaluation.outbox_of import fill_outbox
from digest.store import Sessions
from digest.store.tables import Delivery
from tests.delivery.world import POSTAGE

NOW = datetime(2026, 3, 2, 7, tzinfo=UTC)


def test_every_reader_gets_a_whole_mail_of_papers_with_reasons(sessions: Sessions) -> None:
    fill_outbox(sessions, 3, now=NOW)
    fill_outbox(sessions, 2, papers=5, now=NOW)
    with sessions.reading() as session:
        assert n_due(session, NOW) == 5
        letters = read_letters(session, list(session.scalars(select(Delivery.id))))
    assert [letter.recipient for letter in letters] == [
        f"reader{i}@example.org" for i in range(1, 6)
    ]
    for letter, n in zip(letters, (8, 8, 8, 5, 5), strict=True):
        assert letter.edition
        items = letter.edition.items
        assert len({item.paper_id for item in items}) == n
        assert all(len(item.reasons) == 2 and 250 < len(item.summary) < 350 for item in items)
        assert compose_letter(letter, POSTAGE).recipient == letter.recipient


def test_more_than_fits_a_transaction_is_added_as_well(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digest.evaluation.outbox_of._AT_ONCE", 2)
    fill_outbox(sessions, 5, papers=1, now=NOW)
    with sessions.reading() as session:
        assert n_due(session, NOW) == 5
