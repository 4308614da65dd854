"""What a server's reply means for a mail: one table, from reply and status to what we do.

Every refusal has somebody to blame. Only `address` and `mailbox` ever count against a subscriber;
`us`, our settings, our server or our mail, counts for the breaker that pauses sending.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, NamedTuple

from digest.text import one_line

State = Literal["sent", "deferred", "failed", "uncertain"]
Stage = Literal["connect", "sender", "recipient", "data", "content"]
Blame = Literal["nobody", "us", "address", "mailbox"]

FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=4)
MAX_REPLY = 500

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try; `reply` is one clean line, `stage` the last that was tried.

    `content` is the stage from the first byte of the mail on; `code` is None without a reply.
    """

    state: State
    blame: Blame
    stage: Stage
    code: int | None
    enhanced: str | None
    reply: str


class _Rule(NamedTuple):
    """For replies at one of `stages` whose code and enhanced status match from their beginning."""

    stages: str
    code: str
    status: str
    state: State
    blame: Blame


_ANY = "connect sender recipient data content"
_LATE = "recipient data content"

# The first that fits counts. RFC 5321, 4.2 (codes), RFC 3463 (statuses).
_TABLE = (
    _Rule("content", "2", "", "sent", "nobody"),
    # Too big for the server, told at MAIL already where it announces a SIZE: so it will stay.
    _Rule(_ANY, "552", r"5\.3\.4", "failed", "us"),
    _Rule("sender data content", "552", "$", "failed", "us"),
    # Before the recipient was named a refusal speaks of our settings, which somebody can mend.
    _Rule("connect sender", "[45]", "", "deferred", "us"),
    # Greylisting, a full mailbox, a busy server: that is what retrying is for.
    _Rule(_LATE, "4", "", "deferred", "nobody"),
    # These two statuses speak of the sender's address.
    _Rule(_LATE, "5", r"5\.1\.[78]$", "deferred", "us"),
    _Rule(_LATE, "5", r"5\.1\.|5\.2\.1$", "failed", "address"),
    # Relaying denied, no login, policy: mended, the same mail goes through.
    _Rule(_LATE, "5", r"5\.7\.", "deferred", "us"),
    _Rule(_LATE, "53[0-9]", "", "deferred", "us"),
    _Rule(_LATE, "5", r"5\.[56]\.", "failed", "us"),
    _Rule(_LATE, "5", r"5\.", "failed", "mailbox"),
    _Rule(_LATE, "50|554", "", "failed", "us"),
    # A bare 550 at the recipient may be an unknown user or a block: five of them tell.
    _Rule("recipient", "5", "", "failed", "mailbox"),
    _Rule("data content", "5", "", "failed", "us"),
    # No reply that SMTP knows, after which nobody can say whether the server has the mail.
    _Rule("content", "", "", "uncertain", "us"),
    _Rule(_ANY, "", "", "deferred", "us"),
)


def answered(stage: Stage, code: int, reply: str) -> Outcome:
    """What a reply means at the stage at which it came."""
    line = one_line(reply)[:MAX_REPLY]
    found = _ENHANCED.match(line)
    enhanced = found and found[0]
    rule = next(
        rule
        for rule in _TABLE
        if stage in rule.stages.split()
        and re.match(rule.code, str(code))
        and re.match(rule.status, enhanced or "")
    )
    return Outcome(rule.state, rule.blame, stage, code, enhanced, line)


def unanswered(stage: Stage, why: str) -> Outcome:
    """What it means that no reply came: once the mail is being written, nobody knows."""
    state: State = "uncertain" if stage == "content" else "deferred"
    return Outcome(state, "us", stage, None, None, one_line(why)[:MAX_REPLY])


def unsendable(why: str) -> Outcome:
    """A mail that cannot be made or that this server cannot take: no fault of its reader."""
    return Outcome("failed", "nobody", "connect", None, None, one_line(why)[:MAX_REPLY])


def wait_after(tries: int) -> timedelta:
    """How long a mail waits after its `tries`-th refusal: five minutes, then ever longer."""
    return min(FIRST_RETRY * 2.0 ** min(tries - 1, 16), LONGEST_RETRY)
