"""`digest deliveries`: the mails, what became of them, and what only a person can settle."""

from typing import Annotated, get_args

import typer

from digest.cli.door import (
    GREATEST,
    LIMIT,
    Columns,
    Json,
    Limit,
    now,
    one_more,
    opened,
    say,
    show,
    shown_time,
)
from digest.delivery.outbox import DeliveryView, list_deliveries, settle_by_hand
from digest.errors import BadInput
from digest.store.tables import DeliveryState
from digest.subscribers import find

_STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="The mails, and what became of them."
)


@app.callback()
def deliveries() -> None:
    """The mails, and what became of them."""


@app.command("list", epilog="Example: digest deliveries list --state failed --state deferred")
def list_(
    ctx: typer.Context,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help=f"Only {', '.join(_STATES)}; may be given again."),
    ] = None,
    address: Annotated[str | None, typer.Option(help="Only to this subscriber.")] = None,
    limit: Limit = LIMIT,
    as_json: Json = False,
) -> None:
    """List mails, newest first, with the last that a server said of each."""
    for name in state or ():
        if name not in _STATES:
            raise BadInput(f"state: one of {', '.join(_STATES)}, not {name!r}")
    with opened(ctx) as digest, digest.sessions.reading() as session:
        rows = list_deliveries(
            session,
            states=[name for name in _STATES if name in (state or ())],
            subscriber_id=find(session, address).id if address else None,
            limit=one_more(limit),
        )
    show(rows, _COLUMNS, as_json=as_json, limit=limit, empty="There is no such mail.")


@app.command(epilog="Example: digest deliveries uncertain --json")
def uncertain(ctx: typer.Context, limit: Limit = LIMIT, as_json: Json = False) -> None:
    """List the mails that may or may not have arrived; they are never sent again by themselves.

    The server's log knows them by their Message-ID. Then: digest deliveries settle.
    """
    with opened(ctx) as digest, digest.sessions.reading() as session:
        rows = list_deliveries(session, states=["uncertain"], limit=one_more(limit))
    show(rows, _COLUMNS, as_json=as_json, limit=limit, empty="No mail is uncertain.")


@app.command(epilog="Example: digest deliveries settle 41 42 --sent")
def settle(
    ctx: typer.Context,
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", min=1, max=GREATEST)] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are uncertain.")] = False,
    sent: Annotated[bool, typer.Option("--sent", help="They had arrived.")] = False,
    resend: Annotated[
        bool, typer.Option("--resend", help="They had not: send them again; failed ones as well.")
    ] = False,
) -> None:
    """Settle uncertain mails on your word. Sent again, a mail keeps its Message-ID."""
    if sent == resend:
        raise BadInput("settle: say either --sent or --resend")
    if bool(ids) == every:
        raise BadInput("settle: name mails by their numbers, or say --all")
    with opened(ctx) as digest, digest.sessions() as session:
        found = ids or [row.id for row in list_deliveries(session, states=["uncertain"])]
        for id_ in found:
            settle_by_hand(session, id_, "sent" if sent else "resend", now())
    done = "settled as sent" if sent else "due again: digest deliver sends them"
    say(f"{len(found)} mails {done}")


def _times(row: DeliveryView) -> str:
    return shown_time(row.settled_at or row.due_at)


_COLUMNS: Columns = {
    "id": "id",
    "address": "address",
    "kind": "kind",
    "state": "state",
    "settled or due": _times,
    "tries": "tries",
    "last reply": "reply",
}
