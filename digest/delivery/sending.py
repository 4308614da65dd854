"""A run: claim, compose, send and settle until nothing is due; it may be killed at any line.

Mails are composed ahead, a few at a time, and signed in a thread. What can begin and what has been
answered since is committed together, before any of it begins: a slow disk costs one commit for all
connections.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, TypeVar

from aiolimiter import AsyncLimiter
from sqlalchemy.orm import Session

from digest.delivery import outbox
from digest.delivery.breaker import Breaker, Pause, end_pause, is_on_trial, pause
from digest.delivery.guard import guard
from digest.delivery.letters import (
    Letter,
    Postage,
    Unsigned,
    note_press,
    prepare_letter,
    read_letters,
)
from digest.delivery.policy import Outcome, unsendable
from digest.delivery.transport import Transport
from digest.errors import ServiceUnreachable
from digest.mail.message import WireMessage
from digest.store import Sessions
from digest.store.tables import DeliveryState
from digest.traces import span, tell

T = TypeVar("T")

log = logging.getLogger(__name__)

# Mails that one claim takes, that are signed together, and that wait when the next claim is made.
CLAIM, SIGN, AHEAD = 200, 16, 100
# Mails that are composed before connections are looked at again.
AT_ONCE = 8
# What has been answered must not be lost with a database that is away for a moment.
PATIENCE_SECONDS = (0.1, 1.0, 5.0, 10.0, 20.0)
# How often a run looks at what comes back.
GUARD_EVERY = timedelta(minutes=1)
# How soon it is noticed that a run has to stop, or that the pace allows another mail.
LOOK_SECONDS = 0.05
# How long a server may keep a run that is over waiting before it gets the mail, in seconds.
FAREWELL = 10.0
# So many seconds' mails to a domain are composed ahead of its pace; its others go back to the queue
# until it is their turn, and it is looked for them as often: they are in nobody's way.
HELD_SECONDS, TURNS_EVERY = 5.0, timedelta(seconds=1)
# Replies that come within so much of another are committed with it. Until then their connections
# rest, so that a crash still leaves no more mails uncertain than there are connections.
TOGETHER_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What became of the mails of one run.

    `due` is how many were taken on: those in `states`, and the `released`, which are due again.
    `pause` is set where sending is paused; `alarm` says in words what readers complain of, and
    `doubts` what must never be.
    """

    due: int
    states: Counter[DeliveryState]
    released: int
    pause: Pause | None
    doubts: tuple[str, ...]
    alarm: str = ""


class Pace:
    """How fast mails may leave this process: per second in all, and per second to one domain."""

    def __init__(
        self, per_second: float | None = None, per_second_to_domain: float | None = None
    ) -> None:
        """Set the limits; None is none."""
        self.to_domain = per_second_to_domain
        self._in_all = _limiter(per_second)
        self._domains: dict[str, AsyncLimiter | None] = {}

    def allows_any(self) -> bool:
        """Whether a mail may leave now that its domain does not hold back."""
        return self._in_all is None or self._in_all.has_capacity()

    async def take(self, recipient: str) -> bool:
        """Whether a mail may leave now; if so, it counts."""
        domain = _domain(recipient)
        if domain not in self._domains:
            self._domains[domain] = _limiter(self.to_domain)
        limiters = [one for one in (self._in_all, self._domains[domain]) if one]
        if not all(one.has_capacity() for one in limiters):
            return False
        for one in limiters:
            await one.acquire()
        return True


async def deliver(
    sessions: Sessions,
    transport: Transport,
    postage: Postage,
    *,
    clock: Callable[[], datetime],
    pace: Pace | None = None,
    limit: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda _n: None,
) -> DeliveryReport:
    """Send what is due, oldest first, each mail once; `limit` is the most to take on.

    After `stop` says so nothing new begins, and what is in flight is waited for: for a short while,
    or if the server has the whole mail, until it answers. Several processes may run at once. Raises
    ServiceUnreachable where the database stays away.
    """
    run = _Run(sessions, transport, postage, clock, pace or Pace(), limit, stop, progress)
    return await run.to_its_end()


class _Run:
    def __init__(
        self,
        sessions: Sessions,
        transport: Transport,
        postage: Postage,
        clock: Callable[[], datetime],
        pace: Pace,
        limit: int | None,
        stop: Callable[[], bool],
        progress: Callable[[int], None],
    ) -> None:
        self._sessions, self._transport, self._postage = sessions, transport, postage
        self._clock, self._pace, self._progress = clock, pace, progress
        self._limit, self._stop = limit, stop
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._states: Counter[DeliveryState] = Counter()
        self._due = self._released = 0
        self._all_claimed = False
        self._ready: deque[tuple[int, WireMessage]] = deque()
        # By domain: what is composed and waits for its pace, how many wait or are being composed,
        # and when the last is due that was put back.
        self._held: dict[str, deque[tuple[int, WireMessage]]] = {}
        self._ahead: Counter[str] = Counter()
        self._domains: dict[int, str] = {}
        self._turns: dict[str, datetime] = {}
        self._looks_at = datetime.min.replace(tzinfo=UTC)
        self._running: dict[asyncio.Task[Outcome], int] = {}
        self._answers: list[tuple[int, Outcome]] = []
        self._preparing: asyncio.Task[None] | None = None
        self._breaker = Breaker(on_trial=False)
        self._on_trial = False
        self._pause: Pause | None = None
        self._alarm = ""
        self._guarded_at = datetime.min.replace(tzinfo=UTC)
        self._gives_up_at: float | None = None

    async def to_its_end(self) -> DeliveryReport:
        now = self._clock()
        with self._sessions() as session:
            outbox.sweep(session, now)
            note_press(session, self._postage, now)
            self._on_trial = is_on_trial(session)
            self._guard(session, now)
            since = outbox.newest_attempt(session)
        if self._pause:
            return DeliveryReport(0, self._states, 0, self._pause, (), self._alarm)
        self._breaker = Breaker(on_trial=self._on_trial)
        async with self._transport:
            try:
                await self._work()
            finally:
                await self._leave()
        return self._reconciled(since)

    async def _work(self) -> None:
        while True:
            if self._preparing is None and self._wants_more():
                self._preparing = asyncio.create_task(self._prepare())
            await self._commit(await self._choose())
            waiting = {*self._running, *((self._preparing,) if self._preparing else ())}
            if not waiting and not self._answers and (self._over() or self._is_done()):
                return
            self._mind_the_end()
            for task in await _first_of(waiting):
                if task is self._preparing:
                    self._preparing = None
                    task.result()
                else:
                    self._heard(self._running.pop(task), task.result())

    def _heard(self, delivery_id: int, outcome: Outcome) -> None:
        self._answers.append((delivery_id, outcome))
        self._breaker.note(outcome)

    def _over(self) -> bool:
        return bool(self._breaker.reason or self._pause) or self._stop()

    def _mind_the_end(self) -> None:
        """Once the run is over for a while, wait no longer for what may as well be sent later."""
        if self._over():
            self._gives_up_at = self._gives_up_at or monotonic() + FAREWELL
            if monotonic() >= self._gives_up_at:
                self._transport.give_up()

    def _is_full(self) -> bool:
        return self._all_claimed or (self._limit is not None and self._due >= self._limit)

    def _is_done(self) -> bool:
        return self._is_full() and not self._ready and not self._held

    def _wants_more(self) -> bool:
        return not (
            self._is_full()
            or len(self._ready) >= AHEAD
            or self._over()
            or (self._turns and self._clock() < self._looks_at)
        )

    async def _prepare(self) -> None:
        """Claim some mails and compose them, a little at a time: connections come first."""
        with span("batch of mails"):
            letters, unreadable, cancelled = await self._patiently(self._claim)
            n = len(letters) + len(unreadable) + cancelled
            letters, later = self._in_turn(letters)
            if later:
                await self._patiently(lambda: self._put_back(later))
            self._due += n - len(later)
            if n == 0:
                self._all_claimed = not self._waits_for_turns()
            self._count("cancelled", cancelled)
            for id_, error in unreadable:
                self._cannot_be_composed(id_, error)
            await self._made(letters)
            ids = [letter.delivery_id for letter in letters]
            tell({"digest.ids": ids, "digest.cancelled": cancelled})

    def _in_turn(self, letters: list[Letter]) -> tuple[list[Letter], dict[int, datetime]]:
        """The letters to make now; and when it is the turn of those whose domain has its share."""
        if (rate := self._pace.to_domain) is None:
            return letters, {}
        soon: list[Letter] = []
        later: dict[int, datetime] = {}
        for letter in letters:
            domain = _domain(letter.recipient)
            if self._ahead[domain] < max(1.0, rate * HELD_SECONDS):
                self._ahead[domain] += 1
                self._domains[letter.delivery_id] = domain
                soon.append(letter)
                continue
            first = self._clock() + timedelta(seconds=self._ahead[domain] / rate)
            last = max(self._turns.get(domain, first), first)
            later[letter.delivery_id] = self._turns[domain] = last + timedelta(seconds=1 / rate)
        return soon, later

    def _waits_for_turns(self) -> bool:
        """Whether a mail that was put back is still to come; if so, it is looked for in a while."""
        if not self._turns:
            return False
        now = self._clock()
        self._looks_at = now + TURNS_EVERY
        return max(self._turns.values()) > now

    def _waits_no_more(self, delivery_id: int) -> None:
        if domain := self._domains.pop(delivery_id, None):
            self._ahead[domain] -= 1

    def _put_back(self, turns: dict[int, datetime]) -> None:
        with self._sessions() as session:
            outbox.put_back(session, self._owner, turns)

    async def _made(self, letters: Sequence[Letter]) -> None:
        """Compose and sign; RSA lets other threads run: meanwhile the next are composed."""
        signing: asyncio.Future[list[tuple[int, WireMessage]]] | None = None
        for start in range(0, len(letters), SIGN):
            composed = await self._composed(letters[start : start + SIGN])
            if signing:
                self._ready += await signing
            signing = asyncio.ensure_future(asyncio.to_thread(_signed, composed))
        if signing:
            self._ready += await signing

    async def _composed(self, letters: Sequence[Letter]) -> list[tuple[int, Unsigned]]:
        composed = []
        for n, letter in enumerate(letters, start=1):
            try:
                composed.append((letter.delivery_id, prepare_letter(letter, self._postage)))
            except Exception as error:  # noqa: BLE001 - one must not keep the others back
                self._cannot_be_composed(letter.delivery_id, error)
            if n % AT_ONCE == 0:
                await asyncio.sleep(0)
        return composed

    def _claim(self) -> tuple[list[Letter], list[tuple[int, Exception]], int]:
        """Letters, what cannot be read and why, and how many nobody wants any more."""
        left = CLAIM if self._limit is None else min(CLAIM, self._limit - self._due)
        with self._sessions() as session:
            now = self._clock()
            if now - self._guarded_at >= GUARD_EVERY:
                self._guard(session, now)
            claimed = outbox.claim(session, self._owner, left, self._postage.secret, now)
        found = self._read(claimed.delivery_ids)
        letters = [one for one in found if isinstance(one, Letter)]
        unreadable = [one for one in found if not isinstance(one, Letter)]
        # Some may have been erased with their readers since the claim.
        gone = len(claimed.delivery_ids) - len(found)
        return letters, unreadable, claimed.cancelled + gone

    def _guard(self, session: Session, now: datetime) -> None:
        self._guarded_at = now
        rates, self._pause = guard(session, now)
        if rates.alarm and not self._alarm:
            log.error("%s", rates.alarm)
        self._alarm = rates.alarm

    def _read(self, ids: Sequence[int]) -> list[Letter | tuple[int, Exception]]:
        """Read all at once; where that fails, one by one, to tell which it was."""
        try:
            with self._sessions.reading() as session:
                return [*read_letters(session, ids)]
        except ServiceUnreachable:
            raise
        except Exception as error:  # noqa: BLE001
            if len(ids) == 1:
                return [(ids[0], error)]
            return [found for id_ in ids for found in self._read([id_])]

    def _cannot_be_composed(self, delivery_id: int, error: Exception) -> None:
        log.error("mail %d cannot be composed", delivery_id, exc_info=error)
        self._waits_no_more(delivery_id)
        self._answers.append((delivery_id, unsendable(f"{type(error).__name__}: {error}")))

    async def _choose(self) -> list[tuple[int, WireMessage]]:
        """As many mails as there are free connections, the first that the pace allows."""
        free = self._transport.width - len(self._running)
        if self._over():
            return []
        chosen: list[tuple[int, WireMessage]] = []
        for domain, held in list(self._held.items()):
            while held and len(chosen) < free and await self._pace.take(held[0][1].recipient):
                chosen.append(held.popleft())
            if not held:
                del self._held[domain]
        while self._ready and len(chosen) < free and self._pace.allows_any():
            mail = self._ready.popleft()
            domain = _domain(mail[1].recipient)
            if domain not in self._held and await self._pace.take(mail[1].recipient):
                chosen.append(mail)
            else:
                self._held.setdefault(domain, deque()).append(mail)
        for id_, _ in chosen:
            self._waits_no_more(id_)
        return chosen

    async def _commit(self, chosen: list[tuple[int, WireMessage]]) -> None:
        """Commit what was answered and what begins now, then begin it."""
        if not chosen and not self._answers:
            return
        answers, ids = list(self._answers), [id_ for id_, _ in chosen]
        begun, taken_away = await self._patiently(lambda: self._write(answers, ids))
        self._answers = self._answers[len(answers) :]
        for _, outcome in answers:
            self._count(outcome.state, 1)
        await self._mind_the_breaker(answers)
        for id_, message in chosen:
            if id_ in begun:
                self._running[asyncio.create_task(self._transport.send(message))] = id_
        for state in taken_away:
            self._count("cancelled" if state == "cancelled" else None, 1)

    def _write(
        self, answers: list[tuple[int, Outcome]], ids: list[int]
    ) -> tuple[set[int], list[DeliveryState]]:
        """Settle and begin; the mails that have begun, and the states of those that may not."""
        with self._sessions() as session:
            now = self._clock()
            outbox.settle(session, self._owner, answers, self._postage.secret, now)
            begun = outbox.begin(session, self._owner, ids, now) if ids else set()
            others = [id_ for id_ in ids if id_ not in begun]
            return begun, outbox.states_of(session, others) if others else []

    def _count(self, state: DeliveryState | None, n: int) -> None:
        """Count mails that ended in a state, or that others have to see to (None)."""
        if state is None:
            self._released += n
        elif n:
            self._states[state] += n
        self._progress(n)

    async def _mind_the_breaker(self, answers: list[tuple[int, Outcome]]) -> None:
        if self._breaker.reason and self._pause is None:
            self._pause = await self._asked(self._write_pause)
            log.error("sending is paused until %s: %s", self._pause.until, self._pause.reason)
        elif self._on_trial and any(outcome.state == "sent" for _, outcome in answers):
            self._on_trial = False
            await self._asked(self._write_end_of_pause)
            log.warning("sending goes on")

    def _write_pause(self) -> Pause:
        with self._sessions() as session:
            return pause(session, self._breaker.reason, self._clock())

    def _write_end_of_pause(self) -> None:
        with self._sessions() as session:
            end_pause(session)

    async def _leave(self) -> None:
        """Wait for what is in flight, record it, and give back what was not begun."""
        if self._preparing:
            await asyncio.gather(self._preparing, return_exceptions=True)
        self._transport.give_up()
        ended = await asyncio.gather(*self._running, return_exceptions=True)
        self._answers += [
            (id_, outcome)
            for id_, outcome in zip(self._running.values(), ended, strict=True)
            if isinstance(outcome, Outcome)
        ]
        # Without a database nothing is lost: what is not recorded here expires.
        with suppress(ServiceUnreachable):
            await self._asked(lambda: self._write(self._answers, []))
            self._count(None, await self._asked(self._release))

    def _release(self) -> int:
        with self._sessions() as session:
            return outbox.release(session, self._owner)

    async def _patiently(self, work: Callable[[], T]) -> T:
        """Ask the database, and again where it was away."""
        for seconds in PATIENCE_SECONDS:
            try:
                return await self._asked(work)
            except ServiceUnreachable as error:
                log.warning("%s; trying again in %s s", error, seconds)
                await asyncio.sleep(seconds)
        return await self._asked(work)

    async def _asked(self, work: Callable[[], T]) -> T:
        # A file answers sooner than a thread could be woken twice for it.
        return await asyncio.to_thread(work) if self._sessions.is_postgresql else work()

    def _reconciled(self, since: int) -> DeliveryReport:
        with self._sessions.reading() as session:
            doubts = outbox.doubts(session, self._owner, since)
        settled = self._states.total()
        if settled + self._released != self._due:
            doubts.append(
                f"{self._due} mails were taken on, "
                f"{settled} settled and {self._released} given back"
            )
        for doubt in doubts:
            log.error("%s", doubt)
        return DeliveryReport(
            self._due, self._states, self._released, self._pause, tuple(doubts), self._alarm
        )


def _signed(composed: Sequence[tuple[int, Unsigned]]) -> list[tuple[int, WireMessage]]:
    return [(delivery_id, mail.signed()) for delivery_id, mail in composed]


async def _first_of(tasks: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """The tasks that end first, and those soon after, or none if it takes long."""
    if not tasks:
        await asyncio.sleep(LOOK_SECONDS)
        return set()
    done, others = await asyncio.wait(
        tasks, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
    )
    if done and others:
        more, _ = await asyncio.wait(others, timeout=TOGETHER_SECONDS)
        done |= more
    return done


def _domain(recipient: str) -> str:
    return recipient.rpartition("@")[2].lower()


def _limiter(rate: float | None) -> AsyncLimiter | None:
    if rate is None:
        return None
    # What may leave at once is a tenth of a second's mail: a look is as often.
    burst = max(1.0, rate / 10)
    return AsyncLimiter(burst, burst / rate)
