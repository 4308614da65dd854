from datetime import timedelta

import pytest
from sqlalchemy import select

import digest.subscribers as subscribers
from digest.delivery.letters import compose_letter, read_letters
from digest.delivery.suppression import suppress
from digest.errors import BadInput, Unknown
from digest.links import Claim, Purpose
from digest.settings import SubscriberDefaults
from digest.store import Sessions
from digest.store.tables import AddressChange, Consent, Delivery, Subscriber
from digest.subscribers import ChangeView
from tests.delivery.world import POSTAGE, Post, read, send
from tests.web.seed import NOON, add_subscriber

SECRET = b"a secret of enough bytes"
OLD, NEW = "ann@example.org", "ann@new.example.org"
A_DAY = timedelta(days=1)


@pytest.fixture
def ann(sessions: Sessions) -> int:
    with sessions() as session:
        return add_subscriber(session, OLD)


def asked(sessions: Sessions, who: int, address: str = NEW, days: float = 0) -> ChangeView:
    with sessions() as session:
        now = NOON + days * A_DAY
        return subscribers.ask_for_change(session, who, address, secret=SECRET, now=now)


def agreed(sessions: Sessions, purpose: Purpose, change: ChangeView) -> ChangeView:
    claim = Claim(purpose, change.subscriber_id, change.expires_at, change_id=change.id)
    with sessions() as session:
        return subscribers.agree_to_change(session, claim, secret=SECRET, now=NOON)


def address(sessions: Sessions, who: int) -> str:
    with sessions.reading() as session:
        return subscribers.read_subscriber(session, who).address


def queued(sessions: Sessions) -> list[str]:
    with sessions.reading() as session:
        query = select(Delivery.kind).where(Delivery.state == "queued").order_by(Delivery.id)
        return list(session.scalars(query))


@pytest.mark.parametrize("order", [("change_from", "change_to"), ("change_to", "change_from")])
def test_an_address_changes_when_both_have_said_so(
    sessions: Sessions, ann: int, order: tuple[Purpose, Purpose]
) -> None:
    change = asked(sessions, ann)
    for _ in range(2):
        assert not agreed(sessions, order[0], change).done
        assert address(sessions, ann) == OLD
    assert agreed(sessions, order[1], change).done
    assert address(sessions, ann) == NEW
    with sessions.reading() as session:
        assert session.scalars(select(Consent.kind)).all() == ["moved"]
        assert session.scalars(select(AddressChange.id)).all() == []
    with pytest.raises(Unknown, match="done already"):
        agreed(sessions, order[0], change)


def test_each_address_gets_its_own_mail_and_neither_can_answer_for_the_other(
    sessions: Sessions, ann: int
) -> None:
    asked(sessions, ann)
    post = Post()
    send(sessions, post)
    assert sorted(post.recipients) == [OLD, NEW]
    for message in post.sent:
        purpose = "change_from" if message.recipient == OLD else "change_to"
        other = "change_to" if message.recipient == OLD else "change_from"
        text = message.raw.decode().replace("=\r\n", "")
        assert f"https://digest.example.org/{purpose}/" in text
        assert f"/{other}/" not in text


def test_asking_again_the_same_day_mails_nobody_again(sessions: Sessions, ann: int) -> None:
    assert asked(sessions, ann) == asked(sessions, ann, NEW.upper().replace("ANN", "ann"))
    assert queued(sessions) == ["change_from", "change_to"]


def test_another_address_takes_the_place_of_the_first_and_its_links_are_dead(
    sessions: Sessions, ann: int
) -> None:
    first = asked(sessions, ann)
    second = asked(sessions, ann, "ann@other.example.org")
    agreed(sessions, "change_from", second)
    with pytest.raises(Unknown, match="replaced"):
        agreed(sessions, "change_to", first)
    assert address(sessions, ann) == OLD
    assert queued(sessions) == ["change_from", "change_to"]


def test_a_change_is_asked_for_three_times_a_day_at_most(sessions: Sessions, ann: int) -> None:
    for n in range(3):
        asked(sessions, ann, f"ann{n}@example.org")
    with pytest.raises(BadInput, match=r"^address: at most 3 changes a day"):
        asked(sessions, ann, "ann3@example.org")
    asked(sessions, ann, "ann3@example.org", days=1)


@pytest.mark.parametrize("why", ["suppressed", "subscribed", "asked by another"])
def test_whoever_asks_learns_nothing_of_the_new_address_and_it_gets_no_mail(
    sessions: Sessions, ann: int, why: str
) -> None:
    with sessions() as session:
        if why == "suppressed":
            suppress(session, NEW, SECRET, reason="bounced", now=NOON)
        else:
            bob = add_subscriber(session, NEW if why == "subscribed" else "bob@example.org")
    if why == "asked by another":
        asked(sessions, bob)
    before = queued(sessions).count("change_to")
    change = asked(sessions, ann)
    assert (change.new_address, change.done) == (NEW, False)
    assert queued(sessions).count("change_to") == before


def test_an_address_that_was_suppressed_since_is_not_moved_to(sessions: Sessions, ann: int) -> None:
    change = asked(sessions, ann)
    agreed(sessions, "change_from", change)
    with sessions() as session:
        suppress(session, NEW, SECRET, reason="complaint", now=NOON)
    with pytest.raises(BadInput, match="must not be mailed"):
        agreed(sessions, "change_to", change)
    assert address(sessions, ann) == OLD


def test_a_sign_up_under_the_new_address_gives_way_and_a_subscription_does_not(
    sessions: Sessions, ann: int
) -> None:
    change = asked(sessions, ann)
    agreed(sessions, "change_from", change)
    with sessions() as session:
        other = add_subscriber(session, NEW)
    with pytest.raises(BadInput, match="subscribed by itself"):
        agreed(sessions, "change_to", change)
    with sessions() as session:
        session.get_one(Subscriber, other).state = "pending"
    assert agreed(sessions, "change_to", change).done
    with sessions.reading() as session:
        assert session.get(Subscriber, other) is None


def test_a_change_that_nobody_agrees_to_is_forgotten_after_a_week_with_its_mails(
    sessions: Sessions, ann: int
) -> None:
    asked(sessions, ann)
    with sessions() as session:
        subscribers.expire_changes(session, NOON + 7 * A_DAY)
        assert session.scalars(select(AddressChange.id)).all() == []
    post = Post()
    report = send(sessions, post)
    assert (post.sent, report.states["cancelled"]) == ([], 2)


def test_a_refusal_of_the_new_address_counts_nothing_against_the_old(
    sessions: Sessions, ann: int
) -> None:
    from tests.delivery.world import answer

    asked(sessions, ann)
    refused = answer("failed", "550 no such user", "address", "5.1.1")

    def refuse(message: object) -> None:
        post.answers = [refused] if getattr(message, "recipient", "") == NEW else []

    post = Post(before=refuse)
    send(sessions, post)
    with sessions.reading() as session:
        assert session.get_one(Subscriber, ann).state == "active"
    assert sorted(read(sessions, n).state for n in (1, 2)) == ["failed", "sent"]


@pytest.mark.parametrize(
    ("given", "said"), [("ann", "no e-mail address"), ("", "no e-mail address"), (OLD, "goes to")]
)
def test_what_is_no_new_address_is_told(
    sessions: Sessions, ann: int, given: str, said: str
) -> None:
    with pytest.raises(BadInput, match=f"^address: .*{said}"):
        asked(sessions, ann, given)


def test_mails_beside_the_edition_have_their_words_and_one_link(
    sessions: Sessions, ann: int
) -> None:
    with sessions() as session:
        subscribers.add(session, {"address": "bob@example.org"}, SubscriberDefaults(), now=NOON)
        claim = Claim("edition", ann, NOON)
        assert subscribers.send_fresh_link(session, claim, now=NOON) is True
        assert subscribers.send_fresh_link(session, claim, now=NOON) is False
        subscribers.leave(session, 2, now=NOON, why="test", goodbye=True)
    with sessions.reading() as session:
        kinds = {letter.kind: letter for letter in read_letters(session, [1, 2])}
    for kind, page in (("fresh_link", "preferences/"), ("goodbye", "")):
        raw = compose_letter(kinds[kind], POSTAGE).raw.decode().replace("=\r\n", "")
        assert f"https://digest.example.org/{page}" in raw
        assert "List-Unsubscribe:" not in raw
