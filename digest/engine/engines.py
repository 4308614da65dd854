"""Engines: who does the jobs that a tick has leased, this process or the workers of a cluster."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from digest.engine.jobs import Job
from digest.engine.run import JobReport, run
from digest.errors import BadSettings

if TYPE_CHECKING:
    from digest.engine.app import App

# What is entered around a job, to measure it.
Around = Callable[[Job], AbstractContextManager[object]]

# Jobs wait for sources and mail servers more than for this machine.
THREADS = 4


class Engine(Protocol):
    """Has leased jobs done.

    `lanes` is how many jobs that send may be under way, each with connections of its own.
    """

    lanes: int

    def submit(
        self,
        app: "App",
        jobs: Sequence[Job],
        owner: str,
        clock: Callable[[], datetime],
        *,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[JobReport]:
        """Take over jobs that `owner` has leased; the reports of those that are done on return.

        Raises ServiceUnreachable where they cannot be handed on.
        """

    def work(
        self,
        open_app: Callable[[], "App"],
        clock: Callable[[], datetime],
        *,
        queues: Sequence[str] = (),
        processes: int | None = None,
        around: Around | None = None,
    ) -> None:
        """Do jobs that others submit, of these `queues` (none: all), until SIGTERM or SIGINT.

        What is begun then is ended; a second signal ends at once, which loses nothing. Each of the
        `processes` (None: one a core) opens an App of its own. Raises BadSettings where there are
        no others, BadInput, or ServiceUnreachable.
        """

    def check(self) -> int:
        """How many jobs were put aside, for they killed whoever did them.

        Raises ServiceUnreachable where jobs cannot be handed on.
        """

    def clear(self) -> None:
        """Take away what was submitted and all that it waits in: an end to a measurement."""


class InlineEngine:
    """Does them here and now, in a few threads."""

    lanes = 1

    def submit(
        self,
        app: "App",
        jobs: Sequence[Job],
        owner: str,
        clock: Callable[[], datetime],
        *,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[JobReport]:
        """Do all of them."""

        def one(context: Context, job: Job) -> JobReport | None:
            return context.run(run, app, job, owner, clock, stop=stop)

        # Their spans are parts of ours, and a thread does not know it by itself.
        contexts = [copy_context() for _ in jobs]
        with ThreadPoolExecutor(THREADS, thread_name_prefix="job") as pool:
            return [report for report in pool.map(one, contexts, jobs) if report is not None]

    def check(self) -> int:
        """None: nothing is in between."""
        return 0

    def clear(self) -> None:
        """Nothing ever waits."""

    def work(self, *_asked: object, **_named: object) -> None:
        """Refuse: nobody submits."""
        raise BadSettings(
            'engine: "inline" has no workers: digest serve does the work itself; for a cluster '
            "name its RabbitMQ, like celery+amqp://digest:...@mq.example.org/digest"
        )


def open_engine(url: str) -> Engine:
    """The engine that the settings name. Raises BadSettings where its libraries are missing."""
    if url == "inline":
        return InlineEngine()
    if find_spec("celery") is None:
        raise BadSettings("engine: Celery is missing: install Digest as '.[cluster]'")
    from digest.engine.cluster import CeleryEngine

    return CeleryEngine(url)
