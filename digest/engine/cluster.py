"""The celery engine: jobs go through RabbitMQ to workers; the only module that knows Celery.

A message is a job and who leased it. Its state is in the database, so the broker may lose a message
or deliver it twice: a lease that nobody ends runs out, and a job may be repeated. A queue a kind of
job, so that a machine can serve what it is good at.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from multiprocessing import Event
from signal import SIGINT, SIGKILL, SIGTERM, signal
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import parse_qs, urlsplit, urlunsplit

from billiard.process import active_children
from celery import Celery, Task, signals
from celery.worker.consumer import Consumer
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError
from threadpoolctl import threadpool_limits

from digest.engine.engines import Around
from digest.engine.jobs import LEASE, Job, Kind
from digest.engine.run import JobReport, run
from digest.errors import BadInput, ServiceUnreachable
from digest.settings import without_password
from digest.traces import carried, continued, end_traces, start_traces

if TYPE_CHECKING:
    from digest.engine.app import App

log = logging.getLogger(__name__)

QUEUES: tuple[str, ...] = get_args(Kind)
# A job that kills its worker so often in a row is put aside, in the queue of the dead.
DELIVERIES = 3
_DEAD = "dead"
_TASK = "digest.perform"
# A job is asked to end, then is ended, before its lease runs out.
_SOFT_SECONDS, _HARD_SECONDS = 0.8 * LEASE.total_seconds(), 0.95 * LEASE.total_seconds()
# So long a tick waits for the broker before it says that it is away.
_PATIENCE = {"max_retries": 2, "interval_start": 0.2, "interval_step": 0.5}


class CeleryEngine:
    """Sends one message a job, and waits for none."""

    lanes = 64

    def __init__(self, url: str) -> None:
        """Send to the broker that `url` names."""
        self._url = url
        self._celery, self._prefix = _celery(url)

    def submit(
        self,
        app: "App",  # noqa: ARG002 - whoever does the job has one of their own
        jobs: Sequence[Job],
        owner: str,
        clock: Callable[[], datetime],  # noqa: ARG002
        *,
        stop: Callable[[], bool] = lambda: False,  # noqa: ARG002
    ) -> list[JobReport]:
        """Put the jobs into their queues; none is done on return."""
        try:
            with self._celery.producer_or_acquire() as producer:
                for job in jobs:
                    self._celery.send_task(
                        _TASK,
                        (job.kind, job.key, job.ids, job.name, owner),
                        queue=f"{self._prefix}.{job.kind}",
                        producer=producer,
                        headers=carried(),
                        retry_policy=_PATIENCE,
                    )
        except (OperationalError, OSError) as error:
            raise ServiceUnreachable(
                f"cannot reach the broker {without_password(self._url)}: {error}"
            ) from None
        return []

    def work(
        self,
        open_app: Callable[[], "App"],
        clock: Callable[[], datetime],
        *,
        queues: Sequence[str] = (),
        processes: int | None = None,
        around: Around | None = None,
    ) -> None:
        """Do the jobs of `queues` (none: all) until SIGTERM or SIGINT; then end what is begun."""
        if unknown := set(queues) - set(QUEUES):
            raise BadInput(f"queues: one of {', '.join(QUEUES)}, not {', '.join(sorted(unknown))}")
        _keep_the_dead(self._celery, self._prefix, self._url)
        # What is set wrongly ends us here, and not a process whenever it is started.
        open_app().sessions.engine.dispose()
        start_traces()
        stopping = Event()
        opened: list[App] = []

        @signals.worker_process_init.connect(weak=False)
        def _begin(**_told: object) -> None:
            # Processes share the cores here: threads of each would only be in the way.
            threadpool_limits(1, user_api="blas")

        @signals.worker_process_shutdown.connect(weak=False)
        def _leave(**_told: object) -> None:
            end_traces()

        @signals.worker_shutting_down.connect(weak=False)
        def _end(**_told: object) -> None:
            stopping.set()
            for number in (SIGTERM, SIGINT):
                signal(number, _end_at_once)

        @signals.setup_logging.connect(weak=False)
        def _leave_logging_alone(**_told: object) -> None:
            """Log as whoever started us wants it."""

        @self._celery.task(name=_TASK, bind=True)
        def _perform(
            task: Task, kind: Kind, key: str, ids: list[int], name: str, owner: str
        ) -> None:
            job = Job(kind, key, tuple(ids), name)
            # Only now: where the database is away, the next job looks for it again.
            if not opened:
                opened.append(open_app())
            with continued(vars(task.request)), around(job) if around else nullcontext():
                run(opened[0], job, owner, clock, stop=stopping.is_set)

        worker = self._celery.Worker(
            concurrency=processes or os.cpu_count(),
            queues=[f"{self._prefix}.{queue}" for queue in queues or QUEUES],
            pool="prefork",
            hostname=f"digest-{os.getpid()}@%h",
            without_mingle=True,
            without_gossip=True,
            quiet=True,
        )
        worker.start()
        if worker.exitcode:
            sys.exit(worker.exitcode)

    def check(self) -> int:
        """How many jobs the broker has put aside. Raises ServiceUnreachable."""
        with _reached(self._celery, self._url) as connection:
            aside = _aside(self._prefix)(connection.default_channel)
            aside.declare()
            return int(aside.queue_declare(passive=True).message_count)

    def clear(self) -> None:
        """Delete the queues and exchanges. Raises ServiceUnreachable."""
        with _reached(self._celery, self._url) as connection:
            channel = connection.default_channel
            for name in (*QUEUES, _DEAD):
                channel.queue_delete(f"{self._prefix}.{name}")
            for exchange in (self._prefix, f"{self._prefix}.{_DEAD}"):
                channel.exchange_delete(exchange)


def _end_at_once(*_told: object) -> None:
    """A second signal: what processes are at is known from the database."""
    for process in active_children():
        os.kill(process.pid, SIGKILL)
    os._exit(1)


class _Consumer(Consumer):
    """Without what postpones tasks: it makes 28 queues and we postpone none."""

    class Blueprint(Consumer.Blueprint):
        default_steps = [  # noqa: RUF012 - it is Celery's
            step for step in Consumer.Blueprint.default_steps if "DelayedDelivery" not in step
        ]


def _celery(url: str) -> tuple[Celery, str]:
    """Celery as we use it, and what the names of its queues begin with."""
    parts = urlsplit(url.removeprefix("celery+"))
    prefix = parse_qs(parts.query).get("prefix", ["digest"])[0]
    exchange = Exchange(prefix, type="topic", durable=True)
    celery = Celery("digest", broker=urlunsplit(parts._replace(query="")), set_as_current=False)
    celery.conf.update(
        task_queues=[_queue(prefix, kind, exchange) for kind in QUEUES],
        task_default_exchange=prefix,
        task_default_exchange_type="topic",
        task_ignore_result=True,
        result_backend=None,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_consumer=f"{__name__}:{_Consumer.__name__}",
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_soft_time_limit=_SOFT_SECONDS,
        task_time_limit=_HARD_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"confirm_publish": True},
        task_serializer="json",
        accept_content=["json"],
        # The names are checked at the start: a misspelt queue is none of ours.
        task_create_missing_queues=False,
    )
    return celery, prefix


def _queue(prefix: str, kind: str, exchange: Exchange) -> Queue:
    name = f"{prefix}.{kind}"
    return Queue(
        name,
        exchange,
        routing_key=name,
        queue_arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERIES,
            "x-dead-letter-exchange": f"{prefix}.{_DEAD}",
        },
    )


@contextmanager
def _reached(celery: Celery, url: str) -> Iterator[Any]:
    """A connection to the broker. Raises ServiceUnreachable."""
    try:
        with celery.connection_for_write() as connection:
            connection.ensure_connection(**_PATIENCE)
            yield connection
    except (OperationalError, OSError) as error:
        raise ServiceUnreachable(
            f"cannot reach the broker {without_password(url)}: {error}"
        ) from None


def _keep_the_dead(celery: Celery, prefix: str, url: str) -> None:
    """See that the broker is there and has a place for what it puts aside."""
    with _reached(celery, url) as connection:
        _aside(prefix)(connection.default_channel).declare()


def _aside(prefix: str) -> Queue:
    return Queue(
        f"{prefix}.{_DEAD}",
        Exchange(f"{prefix}.{_DEAD}", type="fanout", durable=True),
        queue_arguments={"x-queue-type": "quorum", "x-max-length": 10_000},
    )
