import re
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

import digest.subscribers as subscribers
from digest.delivery.bounces.read import read_bounce
from digest.delivery.letters import CONFIRM_WITHIN, LINKS_LIVE, compose_letter, read_letters
from digest.delivery.outbox import begin, claim
from digest.delivery.policy import Blame
from digest.delivery.returns import return_path
from digest.delivery.standing import bounced_hard
from digest.delivery.suppression import is_suppressed, suppress
from digest.errors import BadInput, BadToken, Unknown
from digest.links import Claim, Purpose
from digest.settings import SubscriberDefaults
from digest.store import Sessions
from digest.store.deliveries import queue
from digest.store.tables import AddressChange, Consent, Delivery, Subscriber
from digest.subscribers import ChangeView
from digest.subscribers.returns import settle
from tests.delivery.returned import dsn, returned
from tests.delivery.world import POSTAGE, Post, answer, read, send
from tests.web.seed import NOON, add_subscriber

SECRET = b"a secret of enough bytes"
OLD, NEW = "ann@example.org", "ann@new.example.org"
A_DAY = timedelta(days=1)
LATER = NOON + timedelta(minutes=5)


@pytest.fixture
def ann(sessions: Sessions) -> int:
    with sessions() as session:
        return add_subscriber(session, OLD)


def asked(sessions: Sessions, who: int, address: str = NEW, days: float = 0) -> ChangeView:
    with sessions() as session:
        now = NOON + days * A_DAY
        return subscribers.ask_for_change(session, who, address, secret=SECRET, now=now)


def agreed(
    sessions: Sessions, purpose: Purpose, change: ChangeView, now: datetime = NOON
) -> ChangeView:
    claim = Claim(purpose, change.subscriber_id, change.expires_at, change_id=change.id)
    with sessions() as session:
        return subscribers.agree_to_change(session, claim, secret=SECRET, now=now)


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


def move(sessions: Sessions, who: int, now: datetime = LATER) -> None:
    change = asked(sessions, who)
    for purpose in ("change_from", "change_to"):
        agreed(sessions, purpose, change, now)


def standing(sessions: Sessions, who: int) -> tuple[str, str, bool]:
    with sessions.reading() as session:
        row = session.get_one(Subscriber, who)
        return row.address, row.state, is_suppressed(session, NEW, SECRET)


def fresh_link(sessions: Sessions, who: int) -> int:
    with sessions() as session:
        return queue(session, kind="fresh_link", subscriber_id=who, now=NOON) or 0


class TestMailThatWentToTheOldAddress:
    def test_comes_back_without_harm_to_the_new_one(self, sessions: Sessions, ann: int) -> None:
        delivery = fresh_link(sessions, ann)
        send(sessions, Post())
        move(sessions, ann)
        back = dsn(address=OLD, to=return_path("digest@example.org", delivery, SECRET))
        by_id = dsn(address=OLD, copy=returned(OLD).replace("0123456789abcdef", "x"))
        with sessions() as session:
            session.get_one(Delivery, delivery).message_id = "x"
        for raw in (back, by_id):
            with sessions() as session:
                done = settle(session, read_bounce(raw), raw, secret=SECRET, now=LATER).done
            assert done == "recorded"
        assert standing(sessions, ann) == (NEW, "active", False)

    @pytest.mark.parametrize("blame", ["address", "mailbox"])
    def test_is_refused_without_harm_to_the_new_one(
        self, sessions: Sessions, ann: int, blame: Blame
    ) -> None:
        delivery = fresh_link(sessions, ann)
        refused = answer("failed", "550 no such user", blame, "5.1.1")
        post = Post([refused], before=lambda _message: move(sessions, ann))
        send(sessions, post)
        assert post.recipients == [OLD]
        assert read(sessions, delivery).state == "failed"
        assert standing(sessions, ann) == (NEW, "active", False)
        with sessions.reading() as session:
            assert session.get_one(Subscriber, ann).bounce_points == 0

    def test_is_made_anew_for_the_new_one_where_it_had_not_left(
        self, sessions: Sessions, ann: int
    ) -> None:
        delivery = fresh_link(sessions, ann)
        with sessions() as session:
            assert claim(session, "me", 1, SECRET, NOON).delivery_ids == (delivery,)
        move(sessions, ann)
        with sessions() as session:
            assert begin(session, "me", [delivery], LATER) == set()
        post = Post([answer("failed", "550 no such user", "address", "5.1.1")])
        send(sessions, post, LATER)
        assert post.recipients == [NEW]
        assert standing(sessions, ann) == (NEW, "suspended", True)


class TestLinksInTheOldMailbox:
    def read(self, sessions: Sessions, mailed_at: datetime, purpose: Purpose) -> Claim:
        ends = mailed_at + (CONFIRM_WITHIN if purpose == "confirm" else LINKS_LIVE)
        token = POSTAGE.links.token(
            Claim(purpose, 1, ends, value="up" if purpose == "vote" else "")
        )
        return subscribers.read_claim(sessions, POSTAGE.links, token, purpose, now=LATER)

    @pytest.mark.parametrize(
        "purpose", ["edition", "vote", "preferences", "unsubscribe", "confirm"]
    )
    def test_are_over_when_the_address_changes(
        self, sessions: Sessions, ann: int, purpose: Purpose
    ) -> None:
        self.read(sessions, NOON, purpose)
        moved_at = LATER + timedelta(milliseconds=700)
        move(sessions, ann, moved_at)
        with pytest.raises(BadToken, match="mailed to an earlier") as refused:
            self.read(sessions, NOON, purpose)
        assert refused.value.expired
        assert self.read(sessions, moved_at, purpose).subscriber_id == ann

    def test_and_those_of_mail_that_had_not_left_hold(self, sessions: Sessions, ann: int) -> None:
        fresh_link(sessions, ann)
        move(sessions, ann)
        post = Post()
        send(sessions, post, LATER)
        text = post.sent[0].raw.decode().replace("=\r\n", "").replace("=3D", "=")
        token = re.findall(r"/preferences/([\w-]+)", text)[0]
        subscribers.read_claim(sessions, POSTAGE.links, token, "preferences", now=LATER)


def test_who_was_suspended_and_moves_is_mailed_again(sessions: Sessions, ann: int) -> None:
    change = asked(sessions, ann)
    agreed(sessions, "change_from", change)
    with sessions() as session:
        bounced_hard(session, ann, secret=SECRET, status="5.1.1", now=NOON)
    agreed(sessions, "change_to", change)
    assert standing(sessions, ann) == (NEW, "active", False)
    with sessions.reading() as session:
        assert session.get_one(Subscriber, ann).next_due_at is not None


def test_a_refusal_of_the_new_address_counts_nothing_against_the_old(
    sessions: Sessions, ann: int
) -> None:
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
        subscribers.add(
            session, {"address": "bob@example.org"}, SubscriberDefaults(), secret=SECRET, now=NOON
        )
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
