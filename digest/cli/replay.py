"""`digest replay`: live past days again with simulated readers."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.door import Columns, Json, note, print_json, progress, say, show

app = typer.Typer(add_completion=False)


@app.command("replay", epilog="Example: digest replay hf_daily --readers 10")
def replay_(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Pages named by their day, YYYY-MM-DD.")
    ],
    readers: Annotated[int, typer.Option(min=1, max=10, help="How many simulated readers.")] = 10,
    as_json: Json = False,
) -> None:
    """Read past pages day by day, with simulated readers who vote, and account for every day.

    It runs in a database of its own, which is thrown away. A paper is missed where it lost an
    edition with at least the median score of the personal papers that its reader was shown, and
    nobody was ever shown it or a copy. The status is 1 where somebody was shown a paper twice.
    """
    from digest.evaluation.embeddings import Embeddings, cache_folder
    from digest.evaluation.replay import days_of, replay
    from digest.papers.encoder import SentenceEncoder

    files = days_of(folder)
    encoder = Embeddings(SentenceEncoder(), cache_folder())
    with progress("Living", (max(files) - min(files)).days + 1) as step:
        report = replay(files, encoder, readers=readers, progress=step)
    if as_json:
        print_json([asdict(report)])
    else:
        show(report.readers, {name: name for name in _READERS}, as_json=False)
        thin = [day for day in report.days if day.why]
        say(f"\nThin days, {len(thin)} of {len(report.days)}\n")
        columns: Columns = {"day": "day", "fewest papers": "fewest", "why": "why"}
        show(thin, columns, as_json=False, empty="None.")
        say(f"\nMissed above somebody's bar, {report.n_missed}\n")
        columns = {"id": "paper_id", "reader": "reader", "score": "score", "bar": "bar"}
        show(report.missed, {**columns, "title": "title"}, as_json=False, empty="None.")
        n_days = len(report.days)
        say(
            f"\n{report.first} to {report.last}: {report.listings} listings of {report.papers} "
            f"papers; {report.editions} editions, {report.editions / n_days:.1f} a day; "
            f"{report.n_shown} papers shown; {report.repeats} repeats"
        )
    for problem in report.unreadable:
        note(f"Not read: {problem}")
    if report.repeats:
        raise typer.Exit(1)


_READERS = ("reader", "editions", "shown", "theirs", "base", "votes", "notes", "bar")
