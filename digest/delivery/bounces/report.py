"""What a mail or a relay tells of our mail: one form for all of them."""

import re
from dataclasses import dataclass

from digest.delivery.bounces.meaning import MEANING, Reason, judge
from digest.delivery.policy import Blame
from digest.store.tables import BounceKind
from digest.text import one_line, shorten

_LONGEST_SAID = 300
_LONGEST_CONTEXT = 4000

ENHANCED = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)", re.ASCII)
CODE = re.compile(
    r"(?<![\w.:/@-])[45][0-5]\d(?=[ \-:,#]|$)(?![ -]*(bytes|hours|seconds|minutes))", re.ASCII
)
_NO_DETAIL = re.compile(r"[45]\.(\d+\.0|0\.\d+)$")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was said of one address, which may be empty.

    `status` is the enhanced status (5.1.1), or made from a reply code (5.0.0), or empty. `blame`
    tells whose the fault is: what is `us` or `nobody` never counts against a subscriber.
    """

    address: str
    kind: BounceKind
    blame: Blame
    status: str
    said: str


@dataclass(frozen=True, slots=True)
class Report:
    """What came back: findings in their order, none where it is no bounce.

    `message_ids` are those of the mail that it speaks of. `marks` are the addresses and subjects
    in which a mark of ours may stand.
    """

    findings: tuple[Finding, ...]
    message_ids: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


def remark(address: str, kind: BounceKind, said: str) -> Finding:
    """Something that is no failure: a complaint, a wish, a word about us."""
    return Finding(address, kind, "nobody", "", shorten(one_line(said), _LONGEST_SAID))


def failure(
    address: str,
    said: str,
    *,
    status: str = "",
    context: str = "",
    delayed: bool = False,
    otherwise: Reason = "refused",
) -> Finding:
    """A mail that did not arrive, or not yet: why, as far as the words and the status tell.

    `said` is what the server said, `status` a field that may hold an enhanced status, `context`
    what was said around. Where all of them say nothing, it is `otherwise`.
    """
    said = shorten(one_line(said), _LONGEST_SAID)
    status = _innermost(f"{status} {said}")
    reason = judge(said, status, one_line(context[:_LONGEST_CONTEXT])) or "refused"
    if reason == "refused":
        reason = otherwise
    if not status and (code := CODE.search(said)):
        status = f"{code[0][0]}.0.0"
    kind, blame = MEANING[reason]
    if delayed:
        kind, blame = "delayed", "nobody"
    return Finding(address, kind, blame, status, f"{reason}: {said}" if said else reason)


def _innermost(text: str) -> str:
    """The last status that says something, for servers quote each other; else the last."""
    found: list[str] = ENHANCED.findall(text)
    telling = [status for status in found if not _NO_DETAIL.match(status)]
    return next(reversed(telling or found), "")
