import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import BadSettings, BadToken
from digest.links import Claim, Links

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=90)
LINKS = Links("https://digest.example.org/", [b"a secret of enough bytes"])
VOTE = Claim("vote", 70_000, LATER, edition_id=900_000, paper_id=2_000_000, value="up")
ALL_PURPOSES = ["confirm", "edition", "vote", "unsubscribe", "preferences"]

ids = st.integers(min_value=0, max_value=2**63 - 1)
instants = st.integers(min_value=int(LATER.timestamp()), max_value=2**32 - 1)


def token_of(claim: Claim, links: Links = LINKS) -> str:
    return links.url(claim).rsplit("/", 1)[1]


def opens(token: str, purpose: str, links: Links) -> bool:
    try:
        links.read(token, purpose, NOW)
    except BadToken:
        return False
    return True


def refused(token: str, links: Links = LINKS) -> bool:
    """Whether a token opens no door at all."""
    return not any(opens(token, purpose, links) for purpose in ALL_PURPOSES)


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    purpose = draw(st.sampled_from(ALL_PURPOSES))
    value = draw(st.sampled_from(["up", "down", "saved"])) if purpose == "vote" else ""
    at = datetime.fromtimestamp(draw(instants), UTC)
    return Claim(purpose, draw(ids), at, draw(ids), draw(ids), value)


@given(claims())
def test_every_claim_comes_back_as_it_was(claim: Claim) -> None:
    assert LINKS.read(token_of(claim), claim.purpose, NOW) == claim


@given(claims(), claims())
def test_different_claims_have_different_tokens(one: Claim, other: Claim) -> None:
    assert (token_of(one) == token_of(other)) == (one == other)


def test_a_link_is_built_from_the_base_url_and_is_short_and_repeatable() -> None:
    url = LINKS.url(VOTE)
    assert url == LINKS.url(VOTE)
    assert url.startswith("https://digest.example.org/vote/")
    assert len(token_of(VOTE)) <= 48
    assert LINKS.path(VOTE) == url.removeprefix("https://digest.example.org")


def test_a_base_url_with_a_path_keeps_it() -> None:
    links = Links("https://example.org/digest", [b"a secret of enough bytes"])
    assert links.url(VOTE) == f"https://example.org{links.path(VOTE)}"
    assert links.path(VOTE).startswith("/digest/vote/")


def test_no_single_bit_can_be_flipped() -> None:
    token = token_of(VOTE)
    raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for bit in range(len(raw) * 8):
        altered = bytearray(raw)
        altered[bit // 8] ^= 1 << bit % 8
        assert refused(urlsafe_b64encode(altered).rstrip(b"=").decode())


def test_no_character_can_be_changed_added_or_left_out() -> None:
    token = token_of(VOTE)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=.\n é\x00"
    for place in range(len(token)):
        assert refused(token[:place] + token[place + 1 :])
        for character in alphabet:
            assert refused(token[:place] + character + token[place:])
            if character != token[place]:
                assert refused(token[:place] + character + token[place + 1 :])
    assert refused(token + "=")
    assert refused(f"{token}AAAA")


def test_ten_thousand_random_tokens_open_nothing() -> None:
    rng = random.Random(7)
    key_id_and_kind = urlsafe_b64decode(token_of(VOTE) + "===")[:2]
    for n in range(10_000):
        noise = rng.randbytes(rng.randrange(0, 60))
        raw = key_id_and_kind + noise if n % 2 else noise
        token = urlsafe_b64encode(raw).rstrip(b"=").decode()
        assert not opens(token, "vote", LINKS)


@given(st.text())
def test_no_text_at_all_is_a_token(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize("purpose", ALL_PURPOSES)
@pytest.mark.parametrize("other", ALL_PURPOSES)
def test_a_link_opens_only_what_it_was_made_for(purpose: str, other: str) -> None:
    claim = Claim(purpose, 5, LATER, value="up" if purpose == "vote" else "")
    if purpose == other:
        assert LINKS.read(token_of(claim), other, NOW) == claim
    else:
        with pytest.raises(BadToken) as refusal:
            LINKS.read(token_of(claim), other, NOW)
        assert not refusal.value.expired


def test_a_link_ends_at_its_second_and_says_that_it_was_ours() -> None:
    assert LINKS.read(token_of(VOTE), "vote", LATER - timedelta(seconds=1)) == VOTE
    with pytest.raises(BadToken) as refusal:
        LINKS.read(token_of(VOTE), "vote", LATER)
    assert refusal.value.expired


def test_a_link_signed_with_another_secret_is_not_ours() -> None:
    stranger = Links("https://digest.example.org", [b"another secret of enough bytes"])
    assert refused(token_of(VOTE, stranger))


def test_after_a_rotation_old_links_hold_until_the_old_secret_goes() -> None:
    old, new = b"the old secret, long enough", b"the new secret, long enough"
    before, during, after = (Links("https://d", secrets) for secrets in ([old], [new, old], [new]))
    token = token_of(VOTE, before)
    assert during.read(token, "vote", NOW) == VOTE
    assert token_of(VOTE, during) == token_of(VOTE, after) != token
    assert refused(token, after)


def test_secrets_whose_key_ids_collide_are_all_tried() -> None:
    secrets = [f"secret number {n:06}".encode() for n in range(300)]
    links = Links("https://d", secrets)
    for secret in secrets:
        assert links.read(token_of(VOTE, Links("https://d", [secret])), "vote", NOW) == VOTE


@pytest.mark.parametrize("secrets", [[], [b""], [b"devkey"], [b"a secret of enough bytes", b"x"]])
def test_a_secret_that_can_be_guessed_is_refused(secrets: list[bytes]) -> None:
    with pytest.raises(BadSettings, match="secret_key"):
        Links("https://d", secrets)


@pytest.mark.parametrize(("purpose", "value"), [("vote", ""), ("unsubscribe", "up")])
def test_only_a_vote_has_a_value(purpose: str, value: str) -> None:
    with pytest.raises(KeyError):
        LINKS.url(Claim(purpose, 5, LATER, value=value))


@given(who=ids, edition=ids, papers=st.lists(ids, max_size=4))
def test_the_votes_of_an_edition_are_the_links_that_each_would_have_alone(
    who: int, edition: int, papers: list[int]
) -> None:
    alone = [
        tuple(
            LINKS.url(Claim("vote", who, LATER, edition, paper, value))
            for value in ("up", "down", "saved")
        )
        for paper in papers
    ]
    assert LINKS.votes(Claim("edition", who, LATER, edition), papers) == alone
