"""`digest bench`: measure. A command a measurement, each from a function of `digest.evaluation`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from digest.cli.door import Columns, facts, note, print_json, progress, say, settings_of, show
from digest.errors import BadInput
from digest.evaluation.protocol import KINDS, Part, load

if TYPE_CHECKING:
    from digest.evaluation.ranking import Report

app = typer.Typer(
    no_args_is_help=True, help="Measure: ranking, trending, summaries, speed, crashes."
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")]
Encoder = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Another model than the default, name or folder."),
]
Cache = Annotated[
    Path | None, typer.Option(help="Where vectors are kept; else XDG_CACHE_HOME/digest.")
]


@app.callback()
def bench() -> None:
    """Measure: ranking, trending, summaries, speed, crashes."""


@app.command(epilog="Example: digest bench ranking citeulike --method digest --method random")
def ranking(
    folder: Folder,
    method: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this one; may be given again.")
    ] = None,
    part: Annotated[
        Part, typer.Option(help="tune: users with a number divisible by 4; report: others; all.")
    ] = "report",
    encoder: Encoder = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Rank papers that are new to everyone, for readers whose libraries are known.

    DIR holds papers.jsonl (id, title, abstract, posted_at, tags) and libraries.jsonl (user,
    papers). The first run encodes the papers, which takes a minute.
    """
    from digest.evaluation.embeddings import Embeddings, cache_folder
    from digest.evaluation.ranking import all_methods, run
    from digest.evaluation.ranking import as_json as plain
    from digest.papers.encoder import DEFAULT, SentenceEncoder

    collection = load(folder)
    embeddings = Embeddings(SentenceEncoder(encoder or DEFAULT), cache or cache_folder())
    with _bars() as begin:

        def embed(texts: Sequence[str]) -> NDArray[np.float32]:
            missing = len(embeddings.missing(texts))
            return (
                embeddings(texts, progress=begin("Encoding", missing))
                if missing
                else embeddings(texts)
            )

        methods = {one.name: one for one in all_methods(embed)}
        for name in method or ():
            if name not in methods:
                raise BadInput(f"method: must be one of {', '.join(methods)}, not {name!r}")
        chosen = [one for name, one in methods.items() if not method or name in method]
        vectors = embed([paper.text for paper in collection.papers])
        report = run(collection, vectors, embed, chosen, part=part, begin=begin)
    if as_json:
        print_json({**plain(report), "part": part, "encoder": embeddings.encoder.identity})
    else:
        _show_ranking(report)


@app.command(epilog="Example: digest bench trending hf_daily")
def trending(folder: Folder, as_json: AsJson = False) -> None:
    """Predict in the morning which papers will end in their day's top tenth by upvotes.

    DIR holds one response of the daily-papers API a day, YYYY-MM-DD.json; more pages of the same
    papers, named so that they sort after, give the later counts.
    """
    import numpy as np

    from digest.evaluation.trending import evaluate_trending

    report = evaluate_trending(folder, rng=np.random.default_rng(0))
    if as_json:
        print_json(asdict(report))
        return
    for question in report.questions.values():
        say(f"\n{question.asks}: {question.days} days, {question.papers} papers")
        rows = [{"method": name, **asdict(marks)} for name, marks in question.methods.items()]
        show(rows, _TRENDING, as_json=False, empty="No such counts in this folder.")
    note(
        f"{report.papers} papers of {report.days} days, {report.counted_again} counted again; "
        f"{report.unreadable} files are no page; "
        f"{report.days_tuned_on} days that the score was fitted on are left out"
    )


@app.command(epilog="Example: digest bench ingest arxiv_days")
def ingest(folder: Folder, as_json: AsJson = False) -> None:
    """Take in every file of a folder of pages, and tell how fast and in how much memory.

    It runs in a database of its own. The memory is the most that was taken after each third.
    """
    from digest.evaluation.ingesting import measure_ingesting
    from digest.papers.collect import files_of

    with progress("Reading", len(files_of(folder))) as step:
        measured = asdict(measure_ingesting(folder, progress=step))
    if as_json:
        print_json(measured)
        return
    thirds = " ".join(f"{peak:.0f}" for peak in measured["peak_mb"])
    facts(measured | {"peak_mb": thirds})


@app.command(epilog="Example: digest bench summaries hf_daily")
def summaries(
    folder: Folder,
    part: Annotated[
        Part, typer.Option(help="tune: January and February 2026; report: all else; all.")
    ] = "report",
    encoder: Encoder = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Compare summaries with those that a large model wrote: ROUGE-L, and cosine of embeddings.

    DIR holds one response of the daily-papers API a day, *.json; papers with an ai_summary count.
    Against the abstract's first sentence, its last, and its first two.
    """
    from digest.evaluation.embeddings import Embeddings, cache_folder
    from digest.evaluation.summaries import METHODS, evaluate_summaries, read_told
    from digest.papers.encoder import DEFAULT, SentenceEncoder

    papers = read_told(folder, part=part)
    embeddings = Embeddings(SentenceEncoder(encoder or DEFAULT), cache or cache_folder())
    with progress("Encoding", (len(METHODS) + 1) * len(papers)) as step:

        def embed(texts: Sequence[str]) -> NDArray[np.float32]:
            step(len(texts) - len(embeddings.missing(texts)))
            return embeddings(texts, progress=step)

        report = evaluate_summaries(papers, embed, part=part)
    if as_json:
        print_json({**asdict(report), "encoder": embeddings.encoder.identity})
        return
    rows = [{"method": name, **asdict(marks)} for name, marks in report.methods.items()]
    show(rows, _SUMMARIES, as_json=False)
    note(
        f"{report.papers} papers, {report.two_sentences:.0%} of ours in two sentences; "
        f"the references have {report.reference_characters:.0f} characters"
    )


@app.command(epilog="Example: digest bench scale --subscribers 100000 --papers 500")
def scale(
    subscribers: Annotated[int, typer.Option(min=1, help="Readers, of 20 signals each.")] = 10_000,
    papers: Annotated[int, typer.Option(min=1, help="Papers to rank for each of them.")] = 500,
    as_json: AsJson = False,
) -> None:
    """Refit every profile of many made-up readers and rank new papers for each.

    The ratio is to the bare matrix products of the same sizes, timed in the same run.
    """
    from digest.evaluation.scale import measure_scale

    with progress("Ranking", subscribers) as step:
        measured = asdict(measure_scale(subscribers, papers, progress=step))
    print_json(measured) if as_json else facts(measured)


@app.command(epilog="Example: digest bench embed --texts 200")
def embed(
    texts: Annotated[int, typer.Option(min=1, help="How many papers to embed.")] = 100,
    encoder: Encoder = None,
    as_json: AsJson = False,
) -> None:
    """Embed the demo's papers, as often as it takes, and compare with the model's plain encoding.

    A paper has its title embedded once more, by itself: paper_cosine says how far that moves it.
    """
    from digest.evaluation.scale import measure_embedding, plain_encode
    from digest.papers.encoder import DEFAULT, SentenceEncoder

    model = SentenceEncoder(encoder or DEFAULT)
    speed = measure_embedding(model, plain_encode(model), *_papers(texts))
    measured = {"encoder": model.identity, **asdict(speed)}
    print_json(measured) if as_json else facts(measured)


@app.command(epilog="Example: digest bench crash --kills 50")
def crash(
    kills: Annotated[int, typer.Option(min=1, help="Workers to kill, on each database.")] = 50,
    postgresql: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A server to make a database on; else 127.0.0.1:5432."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Other moments than last time.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Kill processes that send, at random moments, and account for every mail in the end.

    On SQLite and, where there is a server, on PostgreSQL. The status is 1 where a mail was lost or
    sent twice. Those of which nobody knows are at most as many as connections were open.
    """
    from digest.evaluation.crash import POSTGRESQL, measure_crashes
    from digest.evaluation.crash import as_json as plain

    with progress("Killing", 2 * kills) as step:
        report = measure_crashes(
            kills, postgresql=postgresql or POSTGRESQL, seed=seed, progress=step
        )
    for name, why in report.left_out.items():
        note(f"{name} is left out: {why}")
    if as_json:
        print_json(plain(report))
    else:
        rows = [{"database": name, **asdict(found)} for name, found in report.databases.items()]
        show(rows, {name.replace("_", " "): name for name in rows[0]}, as_json=False)
    if not report.is_sound:
        raise typer.Exit(1)


@app.command(epilog="Example: digest bench delivery --messages 2000")
def delivery(
    messages: Annotated[int, typer.Option(min=10, help="Mails that wait to be sent.")] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Send made-up mails to a server on this machine, with every guarantee on.

    Against the loop that one would write first (needs dkimpy), and, where Postfix is installed, its
    smtp-source into its smtp-sink. Rates are mails a second.
    """
    from digest.evaluation.delivery import measure_delivery, total_of

    with progress("Sending", total_of(messages)) as step:
        measured = asdict(measure_delivery(messages, progress=step))
    print_json(measured) if as_json else facts(measured)


@app.command(epilog="Example: digest bench web --messages 2000")
def web(
    messages: Annotated[int, typer.Option(min=100, help="Mails that are sent meanwhile.")] = 10_000,
    postgresql: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A server to make a database on; else 127.0.0.1:5432."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Open edition pages and cast votes while made-up mails are sent on the same machine.

    On SQLite and, where there is a server, on PostgreSQL; times in milliseconds. The status is 1
    where a request was not answered as it should be.
    """
    from digest.evaluation.crash import POSTGRESQL
    from digest.evaluation.web import as_json as plain
    from digest.evaluation.web import measure_web
    from digest.web import create_web

    with progress("Sending", 2 * messages) as step:
        report = measure_web(
            create_web, messages, postgresql=postgresql or POSTGRESQL, progress=step
        )
    for name, why in report.left_out.items():
        note(f"{name} is left out: {why}")
    if as_json:
        print_json(plain(report))
    else:
        rows = [
            {"database": name, "request": what.replace("_", " "), **asdict(getattr(speed, what))}
            for name, speed in report.databases.items()
            for what in ("edition", "vote", "edition_alone", "vote_alone")
        ]
        show(rows, {name.replace("_", " "): name for name in rows[0]}, as_json=False)
        for name, speed in report.databases.items():
            note(f"{name}: {speed.mails_per_second} mails a second meanwhile")
    speeds = report.databases.values()
    if any(
        one.failed for s in speeds for one in (s.edition, s.vote, s.edition_alone, s.vote_alone)
    ):
        raise typer.Exit(1)


@app.command(epilog="Example: digest bench cluster --subscribers 20000 --workers 1,2")
def cluster(
    ctx: typer.Context,
    subscribers: Annotated[int, typer.Option(min=1, help="Made-up readers.")] = 200_000,
    workers: Annotated[
        str, typer.Option(metavar="N,...", help="Numbers of workers, a run each.")
    ] = "1,2",
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="A PostgreSQL server; else the settings'.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(metavar="URL", help="A RabbitMQ; else the settings'.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compose and send a morning's mails with real workers, a broker, and PostgreSQL.

    A database and queues are made for it and are gone afterwards; the mail server is made up, too.
    Times, statements and transactions are a subscriber each.
    """
    from digest.evaluation.cluster import as_json as plain
    from digest.evaluation.cluster import measure_cluster

    settings = settings_of(ctx, may_begin=True)
    numbers = _numbers(workers)
    with progress("Sending", subscribers * len(numbers)) as step:
        measured = measure_cluster(
            subscribers,
            numbers,
            database=database or settings.database,
            engine=engine or settings.engine,
            progress=step,
        )
    if as_json:
        print_json(plain(measured))
        return
    rows = [
        {
            **asdict(run),
            **{
                f"{kind} {name}": value
                for kind, stage in run.stages.items()
                for name, value in asdict(stage).items()
            },
        }
        for run in measured.runs
    ]
    show(
        rows, {name.replace("_", " "): name for name in rows[0] if name != "stages"}, as_json=False
    )
    note(f"A mail adds {measured.bytes_a_day} bytes to the database, {measured.bytes_by_table}")


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(number) for number in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise BadInput(f"workers: numbers like 1,2, not {text!r}")
    return numbers


def _papers(n: int) -> tuple[list[str], list[str]]:
    """Titles and texts of `n` papers: the demo's, then the same again, told apart by a number."""
    from digest.papers.identity import text_of
    from digest.sources import find_reader

    pages = files("digest.cli") / "demo_pages"
    listings = [
        listing
        for page in sorted(pages.iterdir(), key=lambda page: page.name)
        for listing in find_reader(page.read_bytes()).read(page.read_bytes(), date(2026, 1, 1))
    ]
    chosen = [(i // len(listings), listings[i % len(listings)]) for i in range(n)]
    titles = [f"{listing.title} {again or ''}".strip() for again, listing in chosen]
    abstracts = [listing.abstract or "" for _, listing in chosen]
    return titles, [text_of(title, text) for title, text in zip(titles, abstracts, strict=True)]


@contextmanager
def _bars() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """A bar for each thing that begins, in the place of the one before."""
    with ExitStack() as stack:

        def begin(what: str, total: int) -> Callable[[int], None]:
            stack.pop_all().close()
            return stack.enter_context(progress(what, total))

        yield begin


def _show_ranking(report: "Report") -> None:
    from digest.evaluation.ranking import rows_of

    for title, table in (("Random folds", report.random), ("Time split", report.time)):
        for kind in KINDS:
            rows = rows_of(table, kind)
            if rows:
                lead: Columns = {"digest leads by": _with_error("lead", "lead_se")}
                say(f"\n{title}, {_LIKES[kind]}: {rows[0]['users']} users")
                show(rows, {**_RANKING, **(lead if "lead" in rows[-1] else {})}, as_json=False)
    for name, effect in report.effects.items():
        if effect:
            say(f"\nEffect of {name.replace('_', '-')}, on {report.subject}")
            names = dict.fromkeys(key for row in effect for key in row)
            show(effect, {name: _cell(name) for name in names}, as_json=False)
    for name, seconds in report.seconds_by_method.items():
        note(f"{name}: {seconds:.1f} s")
    note(f"{report.users} users, {report.seconds:.0f} s")


def _with_error(name: str, error: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        if row.get(name) is None:
            return ""
        spread = row[error]
        return f"{row[name]:.3f}" + ("" if spread is None else f" ±{spread:.3f}")

    return cell


def _cell(name: str) -> Callable[[Mapping[str, Any]], object]:
    return lambda row: row.get(name)


_LIKES = {
    "k0": "an interest alone",
    "k1": "1 like",
    "k3": "3 likes",
    "k5": "5 likes",
    "k10": "10 likes",
    "k20": "20 likes",
    "all": "all likes",
}
_RANKING: Columns = {
    "method": "method",
    "nDCG@10": _with_error("ndcg@10", "se"),
    "Recall@10": _with_error("recall@10", "recall@10_se"),
    "MRR": _with_error("mrr", "mrr_se"),
    "AUC": _with_error("auc", "auc_se"),
}
_SUMMARIES: Columns = {
    "method": "method",
    "ROUGE-L": _with_error("rouge_l", "rouge_l_se"),
    "similarity": _with_error("similarity", "similarity_se"),
    "characters": "characters",
    "digest leads by": _with_error("rouge_l_lead", "rouge_l_lead_se"),
    "and by": _with_error("similarity_lead", "similarity_lead_se"),
}
_TRENDING: Columns = {
    "method": "method",
    "precision@tenth": _with_error("precision", "precision_se"),
    "average precision": _with_error("average_precision", "average_precision_se"),
    "digest leads by": _with_error("lead", "lead_se"),
    "and by": _with_error("average_precision_lead", "average_precision_lead_se"),
}
