import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.delivery.breaker import Breaker
from digest.delivery.policy import (
    FIRST_RETRY,
    LONGEST_RETRY,
    Blame,
    Outcome,
    Stage,
    State,
    answered,
    unanswered,
    wait_after,
)
from digest.text import one_line


@pytest.mark.parametrize(
    ("stage", "code", "said", "state", "blame"),
    [
        ("content", 250, "2.0.0 queued", "sent", "nobody"),
        # Try again later.
        ("recipient", 450, "4.7.1 greylisted", "deferred", "nobody"),
        ("recipient", 452, "4.2.2 mailbox full", "deferred", "nobody"),
        ("content", 421, "4.3.2 closing", "deferred", "nobody"),
        ("content", 451, "", "deferred", "nobody"),
        # The address is gone.
        ("recipient", 550, "5.1.1 no such user", "failed", "address"),
        ("content", 550, "5.1.10 null MX", "failed", "address"),
        ("recipient", 550, "5.2.1 disabled", "failed", "address"),
        # The mailbox, and perhaps only today.
        ("recipient", 552, "5.2.2 over quota", "failed", "mailbox"),
        ("recipient", 550, "5.4.1 access denied", "failed", "mailbox"),
        ("recipient", 550, "no mailbox here by that name", "failed", "mailbox"),
        # Our settings, which somebody can mend.
        ("connect", 535, "5.7.8 wrong password", "deferred", "us"),
        ("connect", 554, "5.7.1 you are blocked", "deferred", "us"),
        ("connect", 421, "4.3.2 too many connections", "deferred", "us"),
        ("sender", 550, "5.1.1 who are you", "deferred", "us"),
        ("sender", 451, "4.3.0 later", "deferred", "us"),
        ("recipient", 550, "5.1.8 bad sender", "deferred", "us"),
        ("recipient", 554, "5.7.1 relay access denied", "deferred", "us"),
        ("content", 550, "5.7.26 unauthenticated", "deferred", "us"),
        ("recipient", 530, "log in first", "deferred", "us"),
        # Our mail, which will not get better.
        ("sender", 552, "5.3.4 too big", "failed", "us"),
        ("content", 552, "too big", "failed", "us"),
        ("recipient", 501, "5.5.4 bad parameters", "failed", "us"),
        ("recipient", 503, "bad sequence", "failed", "us"),
        ("content", 554, "5.6.0 malformed", "failed", "us"),
        ("content", 554, "rejected", "failed", "us"),
        # No reply that SMTP knows.
        ("content", 354, "go on", "uncertain", "us"),
        ("data", 250, "what?", "deferred", "us"),
    ],
)
def test_what_a_reply_means(stage: Stage, code: int, said: str, state: State, blame: Blame) -> None:
    outcome = answered(stage, code, said)
    assert (outcome.state, outcome.blame) == (state, blame)
    assert (outcome.stage, outcome.code, outcome.reply) == (stage, code, said)


@pytest.mark.parametrize("stage", ["connect", "sender", "recipient", "data"])
def test_without_a_reply_nothing_was_taken_before_the_mail(stage: Stage) -> None:
    assert unanswered(stage, "reset").state == "deferred"


def test_without_a_reply_to_the_mail_nobody_knows() -> None:
    assert unanswered("content", "reset").state == "uncertain"


@given(
    st.sampled_from(["connect", "sender", "recipient", "data", "content"]),
    st.integers(200, 999),
    st.text(max_size=600),
)
def test_every_reply_has_a_meaning_and_is_one_line(stage: Stage, code: int, said: str) -> None:
    outcome = answered(stage, code, said)
    assert outcome.reply == one_line(outcome.reply)
    assert len(outcome.reply) <= 500
    assert outcome.state != "sent" or (stage == "content" and code < 300)
    assert outcome.state != "uncertain" or stage == "content"


def test_waits_grow_from_five_minutes_to_hours() -> None:
    waits = [wait_after(tries) for tries in (1, 2, 3, 4, 99)]
    assert waits == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY, 8 * FIRST_RETRY, LONGEST_RETRY]


class TestBreaker:
    OURS = answered("connect", 535, "5.7.8 wrong")
    THEIRS = answered("recipient", 550, "5.1.1 gone")
    FINE = answered("content", 250, "ok")

    def after(self, *outcomes: Outcome, on_trial: bool = False) -> str:
        breaker = Breaker(on_trial=on_trial)
        for outcome in outcomes:
            breaker.note(outcome)
        return breaker.reason

    def test_five_in_a_row(self) -> None:
        assert self.after(*[self.OURS] * 4, self.FINE, *[self.OURS] * 4) == ""
        assert "535 5.7.8 wrong" in self.after(*[self.OURS] * 5)

    def test_a_fifth_of_the_last_fifty(self) -> None:
        one_in_five = [*[self.FINE] * 4, self.OURS] * 10
        assert "10 of the last 50" in self.after(*one_in_five)
        assert self.after(*[*[self.FINE] * 5, self.OURS] * 40) == ""

    def test_refusals_of_addresses_are_no_failures(self) -> None:
        assert self.after(*[self.THEIRS] * 99) == ""

    def test_on_trial_one_is_enough_until_one_went_well(self) -> None:
        assert "the first mail" in self.after(self.OURS, on_trial=True)
        assert self.after(self.FINE, *[self.OURS] * 4, on_trial=True) == ""
