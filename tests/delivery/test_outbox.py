from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import TextClause, event, select, text, update

from digest import subscribers
from digest.delivery import outbox
from digest.delivery.outbox import LEASE, list_deliveries, n_due, settle_by_hand
from digest.delivery.policy import FIRST_RETRY, LONGEST_RETRY, Blame, State
from digest.delivery.suppression import suppress
from digest.errors import BadInput, Unknown
from digest.store import Sessions
from digest.store.deliveries import LIFE, queue
from digest.store.tables import Attempt, Delivery, DeliveryState, Subscriber
from tests.delivery.world import (
    NOON,
    SECRET,
    Post,
    add_mails,
    answer,
    read,
    replies,
    send,
    states,
    sweep_at,
)
from tests.web.seed import add_subscriber

ME, YOU = "me", "you"


def claim(sessions: Sessions, owner: str = ME, n: int = 100) -> tuple[int, ...]:
    with sessions() as session:
        return outbox.claim(session, owner, n, SECRET, NOON).delivery_ids


def begin(sessions: Sessions, owner: str, *ids: int) -> set[int]:
    with sessions() as session:
        return outbox.begin(session, owner, ids, NOON)


def settle(sessions: Sessions, owner: str, mail: int, state: State = "sent") -> None:
    with sessions() as session:
        outbox.settle(session, owner, [(mail, answer(state))], SECRET, NOON)


class TestClaim:
    def test_it_takes_the_oldest_that_are_due(self, sessions: Sessions) -> None:
        first, second, third = add_mails(sessions, 3)
        with sessions() as session:
            session.get_one(Delivery, third).due_at = NOON - timedelta(hours=1)
            session.get_one(Delivery, first).due_at = NOON + timedelta(hours=1)
            assert n_due(session, NOON) == 2
        assert claim(sessions, n=1) == (third,)
        assert claim(sessions) == (second,)
        row = read(sessions, third)
        assert (row.state, row.claimed_by, row.claimed_until) == ("claimed", ME, NOON + LEASE)

    def test_no_two_owners_get_the_same_mail(self, sessions: Sessions) -> None:
        mails = add_mails(sessions, 4)
        assert (*claim(sessions, ME, 3), *claim(sessions, YOU, 3)) == tuple(mails)
        assert claim(sessions, "them") == ()

    @pytest.mark.parametrize("how", ["left", "paused", "suspended", "suppressed", "pending"])
    def test_who_has_gone_is_not_mailed(self, sessions: Sessions, how: str) -> None:
        first, second = add_mails(sessions, 2)
        with sessions() as session:
            if how == "suppressed":
                suppress(session, "R0@EXAMPLE.org", SECRET, reason="complaint", now=NOON)
                # What is queued is taken back at once; the claim must know by itself as well.
                session.execute(update(Delivery).values(state="queued", settled_at=None))
            else:
                gone = update(Subscriber).where(Subscriber.address == "r0@example.org")
                session.execute(gone.values(state=how))
        assert claim(sessions) == (second,)
        assert read(sessions, first).state == "cancelled"

    def test_a_confirmation_goes_to_the_pending_alone(self, sessions: Sessions) -> None:
        with sessions() as session:
            for state in ("pending", "active"):
                who = add_subscriber(session, f"{state}@example.org", state)
                queue(session, kind="confirmation", subscriber_id=who, now=NOON)
        post = Post()
        assert send(sessions, post).states == {"sent": 1, "cancelled": 1}
        assert post.recipients == ["pending@example.org"]

    def test_unsubscribing_takes_a_claimed_mail_back(self, sessions: Sessions) -> None:
        (mail,) = add_mails(sessions)
        claim(sessions)
        with sessions() as session:
            subscribers.leave(session, 1, now=NOON, why="test")
        assert begin(sessions, ME, mail) == set()
        assert states(sessions) == ["cancelled"]


class TestBegin:
    def test_only_the_owner_of_a_claim_may_send(self, sessions: Sessions) -> None:
        mine, waiting = add_mails(sessions, 2)
        claim(sessions, n=1)
        assert begin(sessions, YOU, mine, waiting) == set()
        assert begin(sessions, ME, mine, waiting) == {mine}
        assert begin(sessions, ME, mine) == set(), "once"

    def test_a_claim_that_was_swept_and_taken_by_another_is_lost(self, sessions: Sessions) -> None:
        (mail,) = add_mails(sessions)
        claim(sessions)
        sweep_at(sessions, NOON + 2 * LEASE)
        assert (claim(sessions, YOU), begin(sessions, ME, mail)) == ((mail,), set())


class TestSettle:
    def test_it_records_the_reply_and_the_time(self, sessions: Sessions) -> None:
        (mail,) = add_mails(sessions)
        claim(sessions)
        begin(sessions, ME, mail)
        settle(sessions, ME, mail)
        row = read(sessions, mail)
        assert (row.state, row.settled_at, row.claimed_until) == ("sent", NOON, None)
        assert replies(sessions) == [("sent", "250 ok")]

    def test_a_reply_that_comes_after_the_sweep_still_counts(self, sessions: Sessions) -> None:
        (mail,) = add_mails(sessions)
        claim(sessions)
        begin(sessions, ME, mail)
        sweep_at(sessions, NOON + 2 * LEASE)
        assert states(sessions) == ["uncertain"]
        settle(sessions, ME, mail)
        assert states(sessions) == ["sent"]

    def test_a_mail_that_a_person_has_settled_is_theirs(self, sessions: Sessions) -> None:
        (mail,) = add_mails(sessions)
        claim(sessions)
        begin(sessions, ME, mail)
        sweep_at(sessions, NOON + 2 * LEASE)
        with sessions() as session:
            settle_by_hand(session, mail, "resend", NOON)
        settle(sessions, ME, mail)
        assert (states(sessions), replies(sessions)) == (["queued"], [])

    def test_a_deferred_mail_is_tried_again_ever_later_with_the_same_bytes(
        self, sessions: Sessions
    ) -> None:
        (mail,) = add_mails(sessions)
        now, waits, post = NOON, [], Post([answer("deferred", "451 later")] * 9)
        with sessions() as session:
            session.execute(update(Delivery).values(expires_at=NOON + timedelta(days=9)))
        for _ in range(9):
            assert send(sessions, post, now - timedelta(seconds=1)).due == 0
            assert send(sessions, post, now).states == {"deferred": 1}
            waits.append(read(sessions, mail).due_at - now)
            now += waits[-1]
        assert waits == [min(FIRST_RETRY * 2**n, LONGEST_RETRY) for n in range(9)]
        assert send(sessions, post, now).states == {"sent": 1}
        assert len({message.raw for message in post.sent}) == 1

    def test_a_mail_deferred_for_a_week_still_counts_its_tries(self, sessions: Sessions) -> None:
        (mail,) = add_mails(sessions)
        with sessions() as session:
            session.add_all(
                Attempt(delivery_id=mail, at=NOON, state="deferred", code=451, reply="")
                for _ in range(60)
            )
        assert send(sessions, Post([answer("deferred")])).states == {"deferred": 1}
        assert read(sessions, mail).due_at == NOON + LONGEST_RETRY


class TestSweep:
    def test_a_claim_that_expired_is_queued_again(self, sessions: Sessions) -> None:
        (mail,) = add_mails(sessions)
        claim(sessions)
        sweep_at(sessions, NOON + LEASE)
        assert states(sessions) == ["claimed"]
        sweep_at(sessions, NOON + LEASE + timedelta(seconds=1))
        row = read(sessions, mail)
        assert (row.state, row.settled_at) == ("queued", None)

    def test_what_was_in_flight_becomes_uncertain_and_is_never_sent_again(
        self, sessions: Sessions
    ) -> None:
        (mail,) = add_mails(sessions)
        claim(sessions)
        begin(sessions, ME, mail)
        sweep_at(sessions, NOON + LEASE)
        assert states(sessions) == ["in_flight"]
        later = NOON + LEASE + timedelta(seconds=1)
        sweep_at(sessions, later)
        row = read(sessions, mail)
        assert (row.state, row.settled_at) == ("uncertain", later)
        assert send(sessions, Post(), later + timedelta(days=9)).due == 0

    @pytest.mark.parametrize("state", ["queued", "deferred"])
    @pytest.mark.parametrize("swept", [True, False])
    def test_a_mail_that_is_too_old_is_cancelled(
        self, sessions: Sessions, state: DeliveryState, swept: bool
    ) -> None:
        (mail,) = add_mails(sessions)
        with sessions() as session:
            session.execute(update(Delivery).values(state=state))
        late = read(sessions, mail).expires_at
        sweep_at(sessions, late - timedelta(seconds=1))
        assert states(sessions) == [state]
        if swept:
            sweep_at(sessions, late)
        post = Post()
        send(sessions, post, late)
        assert (states(sessions), post.sent) == (["cancelled"], [])
        assert read(sessions, mail).settled_at == late


class TestRelease:
    def test_what_was_claimed_and_not_begun_is_due_again(self, sessions: Sessions) -> None:
        first, _second = add_mails(sessions, 2)
        claim(sessions)
        begin(sessions, ME, first)
        with sessions() as session:
            assert outbox.release(session, YOU) == 0
            assert outbox.release(session, ME) == 1
        assert states(sessions) == ["in_flight", "queued"]


class TestByHand:
    @pytest.fixture
    def mail(self, sessions: Sessions) -> int:
        (mail,) = add_mails(sessions)
        send(sessions, Post([answer("uncertain", "lost")]))
        return mail

    def test_it_had_arrived(self, sessions: Sessions, mail: int) -> None:
        with sessions() as session:
            settle_by_hand(session, mail, "sent", NOON)
        assert read(sessions, mail).settled_at == NOON
        assert [state for state, _ in replies(sessions)] == ["uncertain", "sent"]

    def test_it_had_not_and_goes_out_as_it_was(self, sessions: Sessions, mail: int) -> None:
        before = read(sessions, mail).message_id
        much_later = NOON + timedelta(days=9)
        with sessions() as session:
            settle_by_hand(session, mail, "resend", much_later)
        assert read(sessions, mail).expires_at == much_later + LIFE
        post = Post()
        assert send(sessions, post, much_later).states == {"sent": 1}
        assert post.sent[0].message_id.startswith(before)

    def test_what_is_settled_is_not_settled_again(self, sessions: Sessions, mail: int) -> None:
        with sessions() as session:
            settle_by_hand(session, mail, "sent", NOON)
            with pytest.raises(BadInput, match="is sent, not uncertain"):
                settle_by_hand(session, mail, "sent", NOON)
            with pytest.raises(Unknown, match="no mail 99"):
                settle_by_hand(session, 99, "sent", NOON)

    def test_a_list_shows_what_was_said_last(self, sessions: Sessions, mail: int) -> None:
        with sessions.reading() as session:
            (row,) = list_deliveries(session, states=("uncertain",))
            assert (row.id, row.address, row.tries, row.reply) == (
                mail,
                "r0@example.org",
                1,
                "lost",
            )
            assert list_deliveries(session, states=("sent", "failed")) == []
            assert list_deliveries(session, subscriber_id=row.id + 1) == []

    def test_a_list_of_all_mails_asks_once_however_many_there_are(
        self, sessions: Sessions, mail: int
    ) -> None:
        asked: list[int] = []

        def look(_c: object, _cursor: object, said: str, values: object, *_more: object) -> None:
            if said.startswith("SELECT"):
                asked.append(len(values))

        with sessions() as session:
            for _ in range(3):
                queue(session, kind="fresh_link", subscriber_id=1, now=NOON)
        with sessions.reading() as session:
            event.listen(sessions.engine, "before_cursor_execute", look)
            rows = list_deliveries(session)
            event.remove(sessions.engine, "before_cursor_execute", look)
        assert [(row.tries, row.reply) for row in rows] == [(0, "")] * 3 + [(1, "lost")]
        assert rows[-1].id == mail
        (n_values,) = asked
        assert n_values <= 3, "limits, not the mails' numbers"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
class TestWhoIsErasedMeanwhile:
    @pytest.fixture
    def mail(self, sessions: Sessions) -> int:
        (id_,) = add_mails(sessions)
        claim(sessions)
        begin(sessions, ME, id_)
        return id_

    def settle(self, sessions: Sessions, mail: int, state: State, blame: Blame) -> None:
        with sessions() as session:
            outcome = answer(state, "550 5.1.1 gone", blame, "5.1.1")
            outbox.settle(session, ME, [(mail, outcome)], SECRET, NOON + timedelta(days=9))

    @pytest.mark.parametrize("blame", ["address", "mailbox"])
    def test_their_bounce_waits_for_it_and_not_the_other_way_round(
        self, sessions: Sessions, mail: int, blame: Blame
    ) -> None:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with ThreadPoolExecutor(1) as pool:
            with sessions() as session:
                session.get_one(Subscriber, 1, with_for_update=True)
                settled = pool.submit(self.settle, sessions, mail, "failed", blame)
                while not settled.done() and not self.ask(sessions, waiting):
                    pass
                subscribers.erase(session, 1)
            settled.result()
        assert states(sessions) == []

    def ask(self, sessions: Sessions, query: TextClause) -> object:
        with sessions.reading() as session:
            return session.scalar(query)

    def test_what_arrives_clears_no_points_of_theirs(self, sessions: Sessions, mail: int) -> None:
        with sessions() as session:
            session.execute(update(Subscriber).values(bounce_points=2, bounced_at=NOON))
        with sessions() as session:
            session.get_one(Subscriber, 1, with_for_update=True)
            self.settle(sessions, mail, "sent", "nobody")
            subscribers.erase(session, 1)
        assert states(sessions) == []


class TestDoubts:
    def test_a_sound_run_leaves_none(self, sessions: Sessions) -> None:
        add_mails(sessions, 3)
        send(sessions, Post())
        with sessions.reading() as session:
            assert outbox.doubts(session, ME, 0) == []

    def test_what_must_never_be_is_said(self, sessions: Sessions) -> None:
        sent, limbo = add_mails(sessions, 2)
        claim(sessions)
        with sessions() as session:
            session.add_all(
                Attempt(delivery_id=sent, at=NOON, state="sent", code=250, reply="") for _ in "12"
            )
            session.execute(update(Delivery).where(Delivery.id == sent).values(state="sent"))
        with sessions.reading() as session:
            assert outbox.doubts(session, ME, 0) == [
                f"mail {limbo} was begun and not settled",
                f"mail {sent} was sent twice",
            ]
            newest = session.scalar(select(Attempt.id).order_by(Attempt.id.desc()))
            assert outbox.doubts(session, YOU, newest or 0) == []
