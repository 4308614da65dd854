"""Every page that readers and visitors may see, in each of its states: a walk through one world."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from zlib import compress

from httpx2 import Response
from sqlalchemy import update
from starlette.testclient import TestClient

from digest.links import Claim
from digest.papers.embedding import embed_pending
from digest.profiles.interests import MOST, embed_interests, interests_of, set_interest
from digest.profiles.mutes import MOST_MUTES, mute, mutes_of
from digest.settings import WebSettings
from digest.store.tables import EditionItemRow, EditionRow, Paper, Subscriber, VoteRow
from digest.subscribers import leave
from tests.editions.world import add_papers
from tests.web.conftest import LATER, World, client_of, expired
from tests.web.seed import NOON, add_edition, add_paper, add_subscriber

Walk = Iterator[tuple[str, Response]]

FORM = {
    "address": "cleo@example.org",
    "interest": "graphs",
    "timezone": "Europe/Paris",
    "hour": "9",
    "frequency": "weekly",
    "length": "5",
    "mix": "0.5",
}
BIB = b"@article{a, title={On graphs}, year={2024}}\n"
OPML = (
    b"<opml><body><outline text='graphs'>"
    b"<outline type='rss' xmlUrl='https://a.example/' text='a'/></outline></body></opml>"
)
REASONS: tuple[dict[str, object], ...] = (
    {"kind": "interest", "share": 0.5, "name": "graphs"},
    {"kind": "liked", "share": 0.2, "title": "On graphs"},
    {"kind": "saved", "share": 0.1, "title": "On graphs"},
    {"kind": "disliked", "share": 0.05, "title": "On graphs"},
    {"kind": "exploration", "share": 0.05},
    {"kind": "trending", "share": 0.02, "upvotes": 7, "growth": 3, "pages": 2, "place": 1, "of": 9},
    {"kind": "resurfaced", "share": 0.01, "upvotes": 1},
)


def every_page(world: World) -> Walk:
    """Its name and the page; what it does to the world on its way stays there."""
    yield from _of_nobody(world)
    yield from _joining(world)
    yield from _edition(world)
    yield from _preferences(world)
    yield from _coming_and_going(world)
    yield from _problems(world)


def _get(world: World, name: str, *paths: str) -> Walk:
    for path in paths:
        yield f"{name} GET {path.partition('?')[2]}", world.client.get(path)


def _post(client: TestClient, path: str, data: Mapping[str, object], **more: object) -> Response:
    answer: Response = client.post(path, data=data, **more)  # type: ignore[arg-type]
    return answer


def _under(world: World, **web: object) -> TestClient:
    """The same world under other settings, and without a memory of who was fast."""
    settings = world.app.settings
    changed = WebSettings.model_validate({"public": True, **web})
    return client_of(replace(world.app, settings=settings.model_copy(update={"web": changed})))


def _of_nobody(world: World) -> Walk:
    yield from _get(world, "empty", "/", "/trending", "/search", "/search?q=xylophone")
    add_papers(world.app.sessions, [f"graphs {n}" for n in range(4)], NOON - timedelta(days=1))
    with world.app.sessions() as session:
        for n in range(2):
            row = session.get_one(Paper, add_paper(session, f"proteins {n}"))
            row.doi, row.code_url = f"10.1000/{n}", "https://code.example/"
    embed_pending(world.app.sessions, world.app.encoder, limit=99, clock=lambda: NOON)
    other = replace(world, client=_under(world))
    yield from _get(other, "some", "/", "/trending", "/search", "/search?q=graphs")
    yield from _get(other, "too much", f"/search?q={'graphs ' * 40}")
    yield from _get(other, "search", world.path(world.feed()).replace("/feed/", "/search/"))
    for _ in range(40):
        found = other.client.get("/search?q=graphs")
    yield "search too fast", found


def _joining(world: World) -> Walk:
    client = _under(world, proof_of_work=True)
    asked = {**FORM, "do": "sample", "pick": "1"}
    yield "sample", _post(client, "/subscribe", asked)
    for name, file in (("bib", BIB), ("opml", OPML), ("broken", b"\x00\x01" * 99)):
        yield f"library {name}", _post(client, "/subscribe", asked, files={"file": ("a", file)})
    many = b"@article{b, author={Nobody}}\n" * 9 + BIB * 30
    yield "library many", _post(client, "/subscribe", asked, files={"file": ("a", many)})
    large = {**FORM, "library": b64encode(compress(b"a" * 2_000_001)).decode()}
    yield "library large", _post(client, "/subscribe", large)
    yield "found", _post(client, "/subscribe", {**asked, "do": "search", "q": "graphs"})
    nothing = {**FORM, "do": "search", "q": "xylophone"}
    yield "found nothing", _post(client, "/subscribe", nothing)
    for name, wrong in {
        "address": "nobody", "interest": "graphs\n" * 30, "timezone": "Europa/Berlin", "hour": "25",
        "frequency": "hourly", "length": "0", "mix": "2", "min_probability": "2",
    }.items():  # fmt: skip
        yield f"fault {name}", _post(client, "/subscribe", {**FORM, name: wrong})
    yield "faults", _post(client, "/subscribe", {"hour": "x", "mix": "y", "timezone": "Mars"})
    yield "check mail", _post(client, "/subscribe", FORM)
    world.look_at_signups()
    for _ in range(20):
        hurried = _post(client, "/subscribe", asked)
    yield "too fast", hurried
    for name, web in (
        ("from there", {"signups_per_hour": 1}),
        ("from there, unproven", {"signups_per_hour": 1, "proof_of_work": True}),
        ("at all", {"confirmations_per_hour": 1, "signups_per_hour": 1000}),
    ):
        client = _under(world, **web)
        for n in range(18):
            refused = _post(client, "/subscribe", {**FORM, "address": f"r{n}@example.org"})
        yield f"too many {name}", refused


def _edition(world: World) -> Walk:
    app = world.app
    with app.sessions() as session:
        ids = [add_paper(session, f"paper {n}", "We show.\n\nMore.") for n in range(7)]
        wide = add_edition(session, world.reader, ids, days_later=1, reasons=REASONS)
        for n, (paper, lane) in enumerate(
            zip(ids, ["personal", "trending", "exploration"] * 2, strict=False)
        ):
            item = session.get_one(EditionItemRow, (wide, paper))
            item.lane, item.score, item.reasons = lane, 0.731, [*REASONS[n:], *REASONS[:n]]
            item.probability, item.propensity = 0.42, 0.25
        bare = session.get_one(EditionItemRow, (wide, ids[6]))
        bare.reasons, bare.card = [], {**bare.card, "title": "", "summary": "", "url": None,
                                       "arxiv_id": None, "authors": ["Ada"] * 4}  # fmt: skip
        note = "Nothing new came close to your interests."
        empty = add_edition(session, world.reader, [], days_later=2)
        session.get_one(EditionRow, empty).note = note
        noted = add_edition(session, world.reader, ids[:1], days_later=3)
        session.get_one(EditionRow, noted).note = note.removesuffix(".")
    here = Claim("edition", world.reader, LATER, wide)
    path = app.links.path(here)
    votes = [Claim("vote", world.reader, LATER, wide, ids[0], v) for v in ("up", "down", "saved")]
    for edition in (wide, empty, noted):
        yield from _get(
            world, f"edition {edition}", app.links.path(replace(here, edition_id=edition))
        )
    for vote in votes:
        yield from _get(world, f"vote {vote.value}", app.links.path(vote))
    for vote in votes:
        world.client.post(app.links.path(vote))
        for other in votes:
            yield from _get(world, f"{other.value} after {vote.value}", app.links.path(other))
    with app.sessions() as session:
        for n, paper in enumerate(ids[1:3]):
            row = {"paper_id": paper, "value": "up", "via": "web", "held_at": NOON}
            at = NOON - timedelta(minutes=n)
            session.add(VoteRow(subscriber_id=world.reader, at=at, **row))
    yield from _get(world, "held votes", path)
    world.client.post(f"{path}/count", data={"mine": "yes"})
    with app.sessions() as session:
        session.execute(update(VoteRow).values(held_at=None))
        more = [add_paper(session, f"old {n}") for n in range(8)]
        vote = {"value": "saved", "via": "web", "at": NOON - timedelta(days=2)}
        session.add_all(VoteRow(subscriber_id=world.reader, paper_id=one, **vote) for one in more)
    embed_pending(app.sessions, app.encoder, limit=99, clock=lambda: NOON)
    yield from _get(world, "many votes", path)
    for paper in (*ids[:3], ids[6]):
        yield from _get(
            world, f"paper {paper}", f"{path}/paper/{paper}", f"{path}/paper/{paper}?muted"
        )
    one = f"{path}/paper/{ids[0]}"
    yield "mute nothing", _post(world.client, one, {})
    yield "mute a mark", _post(world.client, one, {"word": "?!"})
    yield "mute too much", _post(world.client, one, {"word": "x" * 101})
    world.client.post(one, data={"mute": "0", "word": "graphs"})
    yield from _get(world, "muted", one)


def _preferences(world: World) -> Walk:
    path = world.path(world.prefer())
    yield from _get(world, "preferences", path)
    with world.app.sessions() as session:
        for n in range(2):
            set_interest(session, world.reader, f"graphs {n}", f"graphs {n}", NOON)
        mute(session, world.reader, "category", "cs.CR", NOON)
        mute(session, world.reader, "word", "GAN", NOON)
        session.get_one(Subscriber, world.reader).sunset_at = NOON
    embed_interests(world.app.sessions, world.app.encoder)
    for section in ("", "frequency", "pause", "interests", "mutes", "address", "learned"):
        yield from _get(world, f"saved {section}", f"{path}?saved={section}")
    for section, given in (
        ("frequency", {"hour": "25", "timezone": "Europa/Berlin"}),
        ("frequency", {"min_probability": "2", "length": "x", "mix": "3", "frequency": "never"}),
        ("frequency", {"timezone": "Mars"}),
        ("pause", {"pause": "perhaps"}),
        ("pause", {"pause": "until", "until": "2026"}),
        ("pause", {"pause": "until", "until": "2020-01-01"}),
        ("interests", {"name-1": "", "text-1": "", "name-new": "x" * 99, "text-new": "x"}),
        ("interests", {"name-1": "graphs 1", "text-1": "graphs"}),
        ("interests", {"name-new": "graphs 1", "text-new": "graphs"}),
        ("mutes", {"kind": "nothing", "text": "x"}),
        ("mutes", {"kind": "word", "text": "?!"}),
        ("mutes", {"kind": "author", "text": "?!"}),
        ("mutes", {"kind": "category", "text": "x" * 101}),
        ("address", {"address": "nobody"}),
        ("address", {"address": "ann@example.org"}),
        ("reset", {}),
    ):
        yield f"{section} {given}", _post(world.client, f"{path}/{section}", given)
    with world.app.sessions() as session:
        for n in range(MOST - len(interests_of(session, world.reader))):
            set_interest(session, world.reader, f"more {n}", f"more {n}", NOON)
        for n in range(MOST_MUTES - len(mutes_of(session, world.reader))):
            mute(session, world.reader, "word", f"word {n}", NOON)
    full = {"name-new": "another", "text-new": "another"}
    yield "interests full", _post(world.client, f"{path}/interests", full)
    yield "mutes full", _post(world.client, f"{path}/mutes", {"kind": "word", "text": "another"})
    world.client.post(f"{path}/learned", data={"forget": "1"})
    for side in ("change_from", "change_to"):
        claim = world.move("change_from" if side == "change_from" else "change_to")
        yield from _get(world, side, world.path(claim), path)
        yield f"{side} POST", world.client.post(world.path(claim))
        yield from _get(world, f"{side} again", world.path(claim), path)
    for n in range(4):
        asked = _post(world.client, f"{path}/address", {"address": f"a{n}@new.example.org"})
    yield "too many changes", asked
    for until in ("", str((NOON + timedelta(days=9)).date())):
        world.client.post(
            f"{path}/pause", data={"pause": "until" if until else "open", "until": until}
        )
        yield from _get(world, f"paused {until}", path, world.path(world.unsubscribe()))
    yield from _get(world, "erase", f"{path}/erase")
    yield "erase without a tick", _post(world.client, f"{path}/erase", {})


def _coming_and_going(world: World) -> Walk:
    confirm = world.path(world.confirm())
    yield from _get(world, "confirm", confirm)
    yield "confirmed", world.client.post(confirm)
    with world.app.sessions() as session:
        session.get_one(Subscriber, world.newcomer).next_due_at = NOON + timedelta(hours=20)
    yield from _get(world, "confirm again", confirm)
    mine = replace(world, reader=world.newcomer)
    for instead in ("weekly", "pause"):
        path = world.path(mine.unsubscribe())
        yield from _get(mine, f"before {instead}", path)
        yield f"instead {instead}", _post(world.client, path, {"by": "page", "instead": instead})
        yield from _get(mine, f"after {instead}", confirm)
    yield "left", _post(world.client, world.path(mine.unsubscribe()), {"by": "page"})
    for path in (confirm, world.path(mine.unsubscribe()), world.path(mine.prefer())):
        yield from _get(world, "once left", path)
    yield "confirmed once left", world.client.post(confirm)
    yield (
        "less once left",
        _post(world.client, world.path(mine.unsubscribe()), {"instead": "pause"}),
    )
    path = f"{world.path(mine.prefer())}/address"
    yield "move once left", _post(world.client, path, {"address": "b@example.org"})
    with world.app.sessions() as session:
        session.get_one(Subscriber, world.newcomer).state = "suspended"
    for path in (confirm, world.path(mine.prefer())):
        yield from _get(world, "suspended", path)
    with world.app.sessions() as session:
        nobody = add_subscriber(session, "dan@example.org", "pending")
    yield from _get(world, "pending", world.path(replace(mine, reader=nobody).prefer()))


def _problems(world: World) -> Walk:
    yield from _get(world, "unknown", "/nowhere", "/edition/x", world.path(world.read()) + "x")
    yield from _get(
        world, "for something else", world.path(world.read()).replace("edition", "confirm")
    )
    for claim in (world.read(), world.feed(), world.confirm(), world.prefer()):
        late = world.path(expired(claim))
        yield from _get(world, f"expired {claim.purpose}", late)
    token = world.app.links.token(expired(world.read()))
    yield "fresh", world.client.post(f"/fresh/{token}")
    yield "no such method", world.client.post(world.path(world.read()))
    foreign = {"sec-fetch-site": "cross-site"}
    yield "from elsewhere", world.client.post(world.path(world.vote()), headers=foreign)
    yield "too long", world.client.post(world.path(world.vote()), content=b"x" * 70_000)
    yield from _get(
        world, "gone",
        world.path(replace(world.unsubscribe(), subscriber_id=404)),
        world.path(replace(world.read(), edition_id=404)),
        f"{world.path(world.read())}/paper/404",
        world.path(replace(world.move("change_to"), change_id=404)),
    )  # fmt: skip
    yield "not in it", world.client.post(world.path(replace(world.vote(), paper_id=404)))
    path = world.path(world.prefer())
    claim = world.path(world.unsubscribe())
    with world.app.sessions() as session:
        leave(session, world.reader, now=NOON, why="a test")
    yield "unsubscribed", world.client.get(claim)
    yield "erased", _post(world.client, f"{path}/erase", {"sure": "yes"})
    yield "gone for good", world.client.get(path)
