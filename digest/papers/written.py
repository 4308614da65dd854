"""Summaries that a language model wrote, where the settings name one; else sentences stand.

Every question is a row before it is asked, so that neither a crash nor a second process spends more
than a day's budget; what comes back is shown only where it passes the checks.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path

import jinja2
from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

import digest
from digest.errors import BadInput, ServiceUnreachable
from digest.papers.chat import ask, connected
from digest.papers.clean import one_line
from digest.papers.sentences import is_whole, sentences_of
from digest.papers.summary import columns
from digest.settings import SummarySettings
from digest.store import Sessions
from digest.store.tables import ListingRow, Paper, SummaryRow

# Columns of a summary.
SHORTEST, LONGEST = 40, 400
# Papers that were listed longer ago than this are in nobody's next edition.
FRESH = timedelta(days=7)
# How often one text is asked about.
TRIES = 2
# How long one job goes on asking, and after how many failures in a row it gives up.
AT_ONCE = timedelta(seconds=20)
IN_A_ROW = 3

_LONGEST_ABSTRACT = 6000
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_MARKUP = re.compile(
    r"[<>`{}|\\]|\*\*|__|\]\(|^\s*(?:[#*\u2022-]|\d+[.)])\s"
    r"|://|\bwww\.|\S@\S|\b[\w-]+\.(?:com|org|net|io|ai|dev|app|ru|cn)\b",
    re.IGNORECASE,
)
_TALK = re.compile(
    r"(?:here (?:is|are)|sure\b|certainly\b|summary\s*:|as an ai\b|i (?:cannot|can't|am sorry)\b)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_]{4,}")
# Share of an answer's words that have to be in the abstract, by their first letters. All but one
# in a hundred of the summaries of `digest bench summaries` have 0.5; in another language, few have.
GROUNDED, _STEM = 0.5, 5


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """How many summaries were written, and how many answers were refused or never came."""

    written: int = 0
    refused: int = 0
    failed: int = 0


def method_of(settings: SummarySettings) -> str:
    """The model and the prompt, as one name: another of either is asked anew."""
    return f"{settings.model}@{_prompt()[1]}"


def pending(
    session: Session, settings: SummarySettings, now: datetime, *, limit: int
) -> list[Paper]:
    """Papers that were listed lately and have an abstract, but no summary; least asked first.

    Fewer than `limit` where less is left of the day's budget; none without a model.
    """
    if settings.url is None:
        return []
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    asked_today = select(func.count()).where(SummaryRow.asked_at >= midnight)
    left = settings.per_day - (session.scalar(asked_today) or 0)
    if left <= 0:
        return []
    return list(session.scalars(_waiting(method_of(settings), now).limit(min(limit, left))))


def write_pending(
    sessions: Sessions,
    settings: SummarySettings,
    clock: Callable[[], datetime],
    *,
    stop: Callable[[], bool] = lambda: False,
) -> WrittenReport:
    """Have summaries written for `AT_ONCE`, or until there is nothing to do or `stop` says so.

    Raises ServiceUnreachable after IN_A_ROW failures in a row, or where the last one failed.
    """
    return asyncio.run(_write(sessions, settings, clock, stop))


def fault_of(answer: str, title: str, abstract: str) -> str:
    """What keeps an answer from being shown, in a few words; empty where nothing does."""
    given = f"{title}\n{abstract}"
    numbers = _numbers(answer) - _numbers(given)
    words = _stems(answer)
    faults = {
        "is not a line of plain text": one_line(answer) != answer,
        "too short": columns(answer) < SHORTEST,
        "too long": columns(answer) > LONGEST,
        "more than two sentences": len(sentences_of(answer)) > 2,
        "ends mid-thought": not is_whole(answer),
        "has markup or a link": bool(_MARKUP.search(answer)),
        "talks to the reader": bool(_TALK.match(answer)),
        f"has {', '.join(sorted(numbers))}, which the abstract has not": bool(numbers),
        "speaks of something else": len(words & _stems(given)) < GROUNDED * len(words),
    }
    return next((fault for fault, is_so in faults.items() if is_so), "")


async def _write(
    sessions: Sessions,
    settings: SummarySettings,
    clock: Callable[[], datetime],
    stop: Callable[[], bool],
) -> WrittenReport:
    ends = clock() + AT_ONCE
    written = refused = failed = in_a_row = 0
    said = ""
    async with connected(settings) as client:
        while in_a_row < IN_A_ROW and clock() < ends and not stop():
            with sessions() as session:
                paper = next(iter(pending(session, settings, clock(), limit=1)), None)
                if paper is None:
                    break
                row = SummaryRow(
                    text_hash=paper.text_hash,
                    method=method_of(settings),
                    asked_at=clock(),
                    text=None,
                    fault="no answer",
                )
                session.add(row)
                session.flush()
                id_, title, abstract = row.id, paper.title, paper.abstract
            text: str | None = None
            try:
                answer = (await ask(client, settings, question(title, abstract))).strip()
                fault = fault_of(answer, title, abstract)
                text = None if fault else answer
                in_a_row = 0
            except BadInput as error:
                fault, in_a_row = str(error), 0
            except ServiceUnreachable as error:
                fault = said = str(error)
                in_a_row += 1
            written, refused, failed = (
                written + (text is not None),
                refused + (text is None and in_a_row == 0),
                failed + (in_a_row > 0),
            )
            with sessions() as session:
                session.execute(
                    update(SummaryRow).where(SummaryRow.id == id_).values(text=text, fault=fault)
                )
    if in_a_row:
        raise ServiceUnreachable(said)
    return WrittenReport(written, refused, failed)


def question(title: str, abstract: str) -> str:
    """The prompt for a paper. Its text cannot hold the mark around it, which is a hash of it."""
    title, abstract = title[:_LONGEST_ABSTRACT], abstract[:_LONGEST_ABSTRACT]
    text = f"{title}\n{abstract}"
    mark = f"={sha256(text.encode()).hexdigest()[:16]}="
    return _prompt()[0].render(title=title, abstract=abstract, mark=mark, longest=LONGEST * 4 // 5)


def _waiting(method: str, now: datetime) -> Select[Paper]:
    listed = select(ListingRow.paper_id).where(ListingRow.seen_at >= now - FRESH)
    asked = (
        select(
            SummaryRow.text_hash,
            func.count().label("n"),
            func.count(SummaryRow.text).label("answers"),
        )
        .where(SummaryRow.method == method)
        .group_by(SummaryRow.text_hash)
        .subquery()
    )
    n = func.coalesce(asked.c.n, 0)
    return (
        select(Paper)
        .outerjoin(asked, asked.c.text_hash == Paper.text_hash)
        .where(
            Paper.abstract != "",
            Paper.id.in_(listed),
            n < TRIES,
            func.coalesce(asked.c.answers, 0) == 0,
        )
        .order_by(n, Paper.id.desc())
    )


@cache
def _prompt() -> tuple[jinja2.Template, str]:
    """The template and the hash of its source."""
    package = Path(digest.__file__).parent
    folder = package / "templates"
    file = (folder if folder.is_dir() else package.parent / "templates") / "summary/prompt.txt"
    source = file.read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)  # noqa: S701 - plain text
    return environment.from_string(source), sha256(source.encode()).hexdigest()[:12]


def _numbers(text: str) -> set[str]:
    return {number.replace(",", "") for number in _NUMBER.findall(text)}


def _stems(text: str) -> set[str]:
    return {word[:_STEM] for word in _WORD.findall(text.casefold())}
