"""`digest evaluate`: how ranking does, by what readers did with it."""

from dataclasses import asdict
from datetime import UTC, datetime, time
from typing import Annotated, Any

import typer

from digest.cli.door import Columns, note, now, opened, print_json, say, show
from digest.cli.rankers import replayed, show_comparison
from digest.evaluation.learning import evaluate

app = typer.Typer(add_completion=False)


@app.command("evaluate", epilog="Example: digest evaluate --weeks 8 --ranker fresh")
def evaluate_(
    ctx: typer.Context,
    weeks: Annotated[int, typer.Option(min=1, max=200, help="How many, with this one.")] = 12,
    ranker: Annotated[
        str | None, typer.Option(metavar="NAME", help="Estimate how this one would have done.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell how ranking did, week by week, against a random choice, and whether it knew.

    nDCG is of the lists as they were shown; probabilities are compared with what came true. What a
    random choice would have been worth is known from the exploration lane; with --ranker also what
    another ranker would have been: the same mails are ranked again, as digest rankers compare does.
    """
    at, replay = now(), None
    with opened(ctx) as digest:
        with digest.sessions.reading() as session:
            found = evaluate(session, weeks, now=at)
        if ranker:
            since = datetime.combine(found.weeks[0].monday, time(), UTC)
            replay = replayed(digest, [ranker], since=since, at=at)
    if as_json:
        print_json({**asdict(found), "replay": replay and asdict(replay)})
        return
    show(found.weeks, _WEEKS, as_json=False)
    if found.lanes:
        say("\nLikes a paper shown, by lane; exploration is a random choice")
        show(found.lanes, _LANES, as_json=False)
    if found.calibration:
        say("\nWhat was said to be liked, and what was")
        show(found.calibration, _CALIBRATION, as_json=False)
        note(f"expected calibration error {found.expected_error:.3f}")
    else:
        note("No probabilities yet: they need outcomes to stand on.")
    if replay:
        say(f"\nHow {ranker} would have done")
        show_comparison(replay)


def _with_error(name: str, error: str) -> Any:
    def cell(row: Any) -> object:
        value, spread = getattr(row, name), getattr(row, error)
        return value if value is None or spread is None else f"{value:.3f} ±{spread:.3f}"

    return cell


_WEEKS: Columns = {
    "week of": "monday",
    "mails": "sent",
    "up": "up",
    "saved": "saved",
    "down": "down",
    "likes a mail": "likes_per_mail",
    "nDCG": _with_error("ndcg", "ndcg_error"),
    "editions liked": "editions_liked",
}
_LANES: Columns = {
    "lane": "lane",
    "shown": "shown",
    "liked": "liked",
    "rate": _with_error("rate", "error"),
    "times random": "times_random",
}
_CALIBRATION: Columns = {
    "said": lambda row: f"{row.low:g} to {row.high:g}",
    "papers": "shown",
    "predicted": "predicted",
    "came true": "liked",
}
