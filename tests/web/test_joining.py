"""The subscribe page: papers to pick, a sample, a library, a proof of work, and what it refuses."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy import select

from digest.settings import Settings, WebSettings
from digest.store.tables import Paper, Signup
from digest.subscribers.proof import GOOD_FOR, is_proof, new_challenge
from tests.editions.world import ENCODER, add_papers
from tests.web.conftest import SECRET, World, client_of, on_sqlite
from tests.web.seed import NOON
from tests.web.test_subscription import FORM

ROBOTS = [f"robot grasping gripper {n}" for n in "abcdef"]
PROTEINS = [f"protein folding residue {n}" for n in "abcdef"]
BIB = b"@article{a, title={On graphs}, year={2024}}\n@article{b, author={Nobody}}\n"


@pytest.fixture
def papers(world: World) -> list[int]:
    return add_papers(world.app.sessions, [*ROBOTS, *PROTEINS], NOON - timedelta(days=1))


def limited(world: World, **web: object) -> World:
    """The same world under other settings."""
    settings = Settings(
        base_url=world.app.settings.base_url,
        web=WebSettings.model_validate({"public": True, **web}),
    )
    app = replace(world.app, settings=settings)
    return replace(world, app=app, client=client_of(app))


def sampled(page: str) -> list[str]:
    """The titles of the sample."""
    part = page.split('id="sample"')[1].split("</section>")[0]
    return re.findall(r'<h3><a href="[^"]+">([^<]+)</a>', part)


def offered(page: str) -> dict[int, bool]:
    """The papers to pick, and whether each is picked."""
    found = re.findall(r'name="pick" value="(\d+)"( checked)?', page)
    return {int(id_): bool(picked) for id_, picked in found}


def signups(world: World) -> list[Signup]:
    with world.app.sessions.reading() as session:
        return list(session.scalars(select(Signup)))


@on_sqlite
def test_papers_of_every_topic_are_offered_and_a_sample_is_there_from_the_start(
    world: World, papers: list[int]
) -> None:
    page = world.client.get("/").text
    assert {papers.index(id_) // 6 for id_ in list(offered(page))[:2]} == {0, 1}
    assert len(sampled(page)) == 6
    assert "this is what is trending" in page


@on_sqlite
def test_the_sample_follows_what_is_picked_and_the_page_keeps_everything(
    world: World, papers: list[int]
) -> None:
    given = {**FORM, "interest": "", "mix": "1.0", "do": "sample"}
    for topic, chosen in ((ROBOTS, papers[:2]), (PROTEINS, papers[6:8])):
        before = world.rows()
        answer = world.client.post("/subscribe", data={**given, "pick": [str(i) for i in chosen]})
        assert answer.status_code == 200
        assert set(sampled(answer.text)[:3]) <= set(topic[2:])
        picked = [id_ for id_, is_picked in offered(answer.text).items() if is_picked]
        assert picked == chosen
        assert 'value="cleo@example.org"' in answer.text
        assert '<option value="weekly" selected>' in answer.text
        assert world.rows() == before


@on_sqlite
def test_an_interest_alone_makes_a_sample_and_is_its_reason(
    world: World, papers: list[int]
) -> None:
    given = {**FORM, "interest": "protein residue", "mix": "1.0", "do": "sample"}
    page = world.client.post("/subscribe", data=given).text
    assert set(sampled(page)[:3]) <= set(PROTEINS)
    assert "Matches your interest “protein residue”" in page
    assert len(papers) == 12


@on_sqlite
def test_searching_the_papers_keeps_what_was_picked_and_typed(
    world: World, papers: list[int]
) -> None:
    given = {**FORM, "do": "search", "q": "gripper", "pick": str(papers[8])}
    page = world.client.post("/subscribe", data=given).text
    found = offered(page)
    assert next(iter(found)) == papers[8]
    assert set(papers[:6]) <= set(found)
    assert "Found for “gripper”" in page
    assert "graph networks\nproteins</textarea>" in page
    none = world.client.post("/subscribe", data={**given, "q": "xylophone", "pick": ""}).text
    assert "Nothing was found" in none or offered(none)


@on_sqlite
def test_a_fault_keeps_picks_and_library_and_both_are_stored_at_last(
    world: World, papers: list[int]
) -> None:
    given = {**FORM, "hour": "25", "pick": [str(papers[0]), "99999", "x"]}
    page = world.client.post("/subscribe", data=given, files={"file": ("a.bib", BIB)}).text
    assert [id_ for id_, picked in offered(page).items() if picked] == [papers[0]]
    assert "1 paper was read" in page
    assert "Line 2: an entry without a title, left out" in page
    carried = re.search(r'name="library" value="([^"]+)"', page)
    assert carried is not None
    again = {**given, "hour": "5", "library": carried[1]}
    assert "Check your mail" in world.client.post("/subscribe", data=again).text
    (signup,) = signups(world)
    assert signup.asked["picks"] == [papers[0]]
    assert signup.library is not None
    left_out = world.client.post("/subscribe", data={**again, "forget": "yes"})
    assert left_out.status_code == 200
    assert signups(world)[0].library is None


@on_sqlite
@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"x" * 2_000_001, "A file of at most 2 MB"),
        (b"\x00\x01\x02" * 99, "binary data"),
        (b"<opml></opml>", "Expected OPML with feeds"),
        (b"<rdf:RDF xmlns:z='http://www.zotero.org/namespaces/export#'>\n<a>", "broken at line 1"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_at_its_field(
    world: World, file: bytes, said: str
) -> None:
    answer = world.client.post("/subscribe", data=FORM, files={"file": ("a", file)})
    assert answer.status_code == 422
    assert 'id="library-fault"' in answer.text
    assert said in answer.text
    assert "graph networks\nproteins</textarea>" in answer.text
    assert signups(world) == []


@on_sqlite
def test_a_library_that_is_carried_cannot_be_larger_than_one_that_is_sent(world: World) -> None:
    import zlib

    bomb = b64encode(zlib.compress(b"a" * 50_000_000)).decode()
    answer = world.client.post("/subscribe", data={**FORM, "library": bomb})
    assert answer.status_code == 422
    assert "A file of at most 2 MB" in answer.text


@on_sqlite
def test_a_network_that_signs_many_up_is_asked_to_wait_and_loses_nothing(world: World) -> None:
    slow = limited(world, signups_per_hour=10)
    for n in range(5):
        given = {**FORM, "address": f"r{n}@example.org"}
        assert slow.client.post("/subscribe", data=given).status_code == 200
    answer = slow.client.post("/subscribe", data=FORM)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3600"
    assert "from your network" in answer.text
    assert "graph networks\nproteins</textarea>" in answer.text
    assert len(signups(world)) == 5


@on_sqlite
def test_samples_are_had_at_a_pace(world: World) -> None:
    given = {**FORM, "do": "sample"}
    said = [world.client.post("/subscribe", data=given).status_code for _ in range(25)]
    assert said == [200] * 20 + [429] * 5
    kept = world.client.post("/subscribe", data=given, files={"file": ("a.bib", BIB)}).text
    assert "try again in half a minute" in kept
    assert "graph networks\nproteins</textarea>" in kept
    assert 'name="library" value="e' in kept


@on_sqlite
def test_libraries_are_read_at_a_pace_by_their_size_and_one_that_was_read_is_free(
    world: World,
) -> None:
    given = {**FORM, "do": "sample"}

    def sent(name: bytes) -> tuple[int, bool]:
        """The status, and whether the page carries the library on."""
        large = b"@article{a, title={On " + name + b"}}\n" + b"x" * 1_900_000
        page = world.client.post("/subscribe", data=given, files={"file": ("a.bib", large)})
        return page.status_code, 'name="library" value="e' in page.text

    assert {sent(b"bees") for _ in range(3)} == {(200, True)}
    assert {sent(b"towels") for _ in range(3)} == {(429, True)}
    assert sent(b"bees") == (200, True)
    assert world.client.post("/subscribe", data=given).status_code == 200


# A proof of work


def solved(challenge: dict[str, object], **changed: object) -> str:
    number = next(
        n
        for n in range(int(str(challenge["maxNumber"])) + 1)
        if sha256(f"{challenge['salt']}{n}".encode()).hexdigest() == challenge["challenge"]
    )
    payload = {name: challenge[name] for name in ("algorithm", "challenge", "salt", "signature")}
    return b64encode(json.dumps({**payload, "number": number, **changed}).encode()).decode()


def test_a_challenge_that_was_solved_counts_once_and_in_its_time(world: World) -> None:
    def holds(payload: str, *, minutes: float = 0) -> bool:
        with world.app.sessions() as session:
            at = NOON + timedelta(minutes=minutes)
            return is_proof(session, payload, secret=SECRET, now=at)

    challenge = new_challenge(SECRET, NOON)
    right = solved(challenge)
    assert not holds(solved(challenge, number=1))
    assert not holds(solved(challenge, salt=f"{challenge['salt']}&expires=99999999999"))
    assert not holds(solved(new_challenge(b"another secret of enough", NOON)))
    assert not holds(right, minutes=GOOD_FOR.total_seconds() / 60)
    assert holds(right, minutes=59)
    assert not holds(right, minutes=59)
    for broken in ("", "%%%", b64encode(b"[1]").decode(), b64encode(b'{"salt": 1}').decode()):
        assert not holds(broken)


@on_sqlite
def test_whoever_proves_work_may_sign_up_five_times_as_often(world: World) -> None:
    asks = limited(world, proof_of_work=True, signups_per_hour=10)
    assert 'data-challenge="/subscribe/challenge"' in asks.client.get("/").text
    proofs = [solved(asks.client.get("/subscribe/challenge").json()) for _ in range(4)]
    for n, proof in enumerate(proofs):
        given = {**FORM, "address": f"r{n}@example.org", "altcha": proof}
        assert asks.client.post("/subscribe", data=given).status_code == 200
    without = asks.client.post("/subscribe", data=FORM)
    assert without.status_code == 429
    assert "With JavaScript switched on" in without.text
    assert "data-challenge" not in limited(world).client.get("/").text


# Texts from outside


@on_sqlite
def test_titles_of_papers_are_escaped_everywhere(world: World) -> None:
    hostile = "<script>alert(1)</script> & <b>robot</b> \u202e gripper"
    (id_,) = add_papers(world.app.sessions, [hostile], NOON - timedelta(hours=1))
    with world.app.sessions() as session:
        session.get_one(Paper, id_).abstract = hostile
    for path in ("/", "/trending", "/search?q=gripper"):
        page = world.client.get(path).text
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page
        assert "\u202e" not in page
    assert ENCODER.identity == world.app.encoder.identity
