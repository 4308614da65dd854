"""`digest rankers`: other ways to rank, weighed against each other, and which of them is live."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from digest.cli.door import (
    Columns,
    note,
    now,
    opened,
    print_json,
    progress,
    say,
    show,
    shown_time,
)
from digest.engine import App
from digest.errors import BadInput
from digest.evaluation.rankers import Comparison, count_editions, replay_rankers
from digest.evaluation.trial import Trial, read_trial
from digest.ranking.ranker import Ranker
from digest.store.rankers import (
    Change,
    changes,
    defined,
    in_force,
    promote,
    ranker_named,
    rollback,
    start_trial,
    stop_trial,
)

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Ways to rank, and which of them is live."
)

_Name = Annotated[str, typer.Argument(help="A name of \\[rankers] in digest.toml, or standard.")]
_OneObject = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list", epilog="Example: digest rankers list --json")
def list_(ctx: typer.Context, as_json: _OneObject = False) -> None:
    """List the rankers that there are, which one is live, and what was changed when."""
    with opened(ctx) as digest, digest.sessions.reading() as session:
        ruling, history = in_force(session), changes(session)
        rankers = defined(digest.settings)
    rows = [_row(one, "live" if one == ruling.live else "") for one in rankers.values()]
    if ruling.live not in rankers.values():
        rows.insert(0, _row(ruling.live, "live, as it was promoted"))
    if as_json:
        print_json({**asdict(ruling), "rankers": rows, "changes": [asdict(one) for one in history]})
        return
    show(rows, {name: name for name in rows[0]}, as_json=False)
    if ruling.trial:
        names = " and ".join(one.name for one in ruling.trial)
        say(f"\nOn trial, sharing every list: {names}")
    if history:
        say("\nChanges, newest first")
        show(history, _CHANGES, as_json=False)


@app.command("promote", epilog="Example: digest rankers promote fresh")
def promote_(ctx: typer.Context, name: _Name) -> None:
    """Let a ranker make every edition from now on; with it a trial ends.

    Its settings are kept as they are now: change them in digest.toml, and promote it again.
    """
    with opened(ctx) as digest, digest.sessions() as session:
        was = in_force(session)
        made = promote(session, ranker_named(digest.settings, name), at=now())
    say(f"{made.live.name} is live; before, it was {was.live.name}{_ended(was.trial)}")


@app.command("rollback", epilog="Example: digest rankers rollback")
def rollback_(ctx: typer.Context) -> None:
    """Let the ranker make editions again that did before the last promotion; a trial ends."""
    with opened(ctx) as digest, digest.sessions() as session:
        was = in_force(session)
        made = rollback(session, at=now())
    say(f"{made.live.name} is live again; before, it was {was.live.name}{_ended(was.trial)}")


@app.command("interleave", epilog="Example: digest rankers interleave standard fresh")
def interleave_(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[A B]", help="Two rankers; none: the report.")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="End the trial, and report.")] = False,
    as_json: _OneObject = False,
) -> None:
    """Let two rankers share every list, each choosing by turns; or tell how such a trial stands.

    Personal places are filled by team draft: in each round both choose their best paper that is
    left, and a coin says who begins. What trends and what is explored is the choice of A. Votes up
    and saves count for who chose the paper. Settle how long a trial is to run before it starts:
    who stops at the first good number will be wrong more often than it says.
    """
    if names and (stop or len(names) != 2):
        raise BadInput("interleave: name two rankers, A B, or none for the report")
    with opened(ctx) as digest:
        if names:
            one, other = (ranker_named(digest.settings, name) for name in names)
            with digest.sessions() as session:
                start_trial(session, one, other, at=now())
            say(f"{one.name} and {other.name} share every list from now on")
            return
        if stop:
            with digest.sessions() as session:
                stop_trial(session, at=now())
        with digest.sessions.reading() as session:
            trial = read_trial(session)
    if as_json:
        print_json({**asdict(trial), "leader": trial.leader})
        return
    _show_trial(trial)


@app.command("compare", epilog="Example: digest rankers compare standard fresh --days 30")
def compare_(
    ctx: typer.Context,
    one: Annotated[str, typer.Argument(metavar="A", help="A ranker.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    days: Annotated[int, typer.Option(min=2, max=365, help="How many, back from now.")] = 30,
    as_json: _OneObject = False,
) -> None:
    """Rank past editions again with two rankers, and set them against the votes that came.

    It favours the ranker whose lists were shown, for only what was shown could be liked. What the
    other would have shown is judged where the live one left it to the lot (estimated likes, by
    inverse propensity), and not at all elsewhere. Errors are standard errors over readers. To be
    sure, let both share the lists: digest rankers interleave.
    """
    with opened(ctx) as digest:
        if one == other:
            raise BadInput(f"{one} against itself tells nothing: name two rankers")
        at = now()
        found = replayed(digest, [one, other], since=at - timedelta(days=days), at=at)
    if as_json:
        print_json(asdict(found))
        return
    show_comparison(found)


def replayed(digest: App, names: list[str], *, since: datetime, at: datetime) -> Comparison:
    """A replay of these rankers on the editions since then, with a bar. Raises Unknown."""
    rankers = [ranker_named(digest.settings, name) for name in names]
    total = count_editions(digest.sessions, since=since, now=at)
    with progress("Ranking again", total) as step:
        return replay_rankers(
            digest.sessions,
            rankers,
            digest.encoder.identity,
            since=since,
            now=at,
            progress=step,
        )


def show_comparison(found: Comparison) -> None:
    """Print a replay: a line for every ranker, and what they differ by."""
    if not found.editions:
        note("No mail of these days has had a day to be answered.")
        return
    show(found.rankers, _REPLAYED, as_json=False)
    say(
        f"\n{found.editions} editions of {found.readers} readers read again, {found.liked} with "
        f"something liked; as they were shown, without the lot, {_mean(found.shown)} likes each"
    )
    if found.ndcg_difference is not None:
        names = " less ".join(one.ranker for one in found.rankers)
        ndcg = _mean(found.ndcg_difference, sign="+")
        likes = _mean(found.likes_difference, sign="+")
        say(f"{names}: nDCG {ndcg}, likes {likes}; {found.overlap:.0%} of their lists in common")
    else:
        say(f"Likes less those that came: {_mean(found.likes_difference, sign='+')}")


def _show_trial(trial: Trial) -> None:
    until = f"to {shown_time(trial.ended)}" if trial.ended else "on"
    say(f"From {shown_time(trial.started)} {until} (UTC), {trial.editions} editions\n")
    show(trial.teams, {"ranker": "ranker", "papers": "shown", "liked": "liked"}, as_json=False)
    one, other = (team.ranker for team in trial.teams)
    say("")
    columns: Columns = {
        "by": "by",
        f"{one} won": "wins",
        "ties": "ties",
        f"{other} won": "losses",
        "p-value": "p_value",
    }
    show(trial.scores, columns, as_json=False)
    score = trial.scores[0]
    if trial.leader is None or score.p_value is None:
        say("\nNeither is ahead")
    else:
        say(f"\n{trial.leader} is ahead, with {1 - score.p_value:.1%} confidence by editions")


def _row(ranker: Ranker, state: str) -> dict[str, Any]:
    named = asdict(ranker)
    return {"ranker": named.pop("name"), "state": state, **named}


def _ended(trial: tuple[Ranker, Ranker] | None) -> str:
    return f"; the trial of {' and '.join(one.name for one in trial)} is over" if trial else ""


def _mean(mean: Any, sign: str = "") -> str:
    if mean.value is None:
        return "-"
    spread = "" if mean.error is None else f" ±{mean.error:.3f}"
    return f"{mean.value:{sign}.3f}{spread}"


def _trial_of(change: Change) -> str:
    return ", ".join(one.name for one in change.trial or ())


_CHANGES: Columns = {
    "at (UTC)": "at",
    "what": "kind",
    "live since": lambda change: change.live.name,
    "on trial": _trial_of,
}
_REPLAYED: Columns = {
    "ranker": "ranker",
    "nDCG": lambda row: _mean(row.ndcg),
    "likes kept": lambda row: _mean(row.kept),
    "likes a mail (estimate)": lambda row: _mean(row.likes),
    "places judged": lambda row: "-" if row.judged is None else f"{row.judged:.0%}",
    "explored": "explored",
    "of these liked": lambda row: _mean(row.rate),
    "worth draws": lambda row: f"{row.rate.effective:.1f}",
}
