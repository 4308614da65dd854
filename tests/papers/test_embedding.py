"""What has no vector gets one, once, whoever has the text; on both databases."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import select

from digest.papers.embedding import (
    BATCH,
    TITLE_WEIGHT,
    embed_pending,
    embed_texts,
    pending,
    vectors_of,
)
from digest.papers.encoder import Encoder
from digest.papers.identity import text_hash, text_of
from digest.store import Sessions
from digest.store.tables import Paper
from tests.worlds import WordEncoder

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WORDS = WordEncoder()


@dataclass
class Stumbling:
    """An encoder that fails at its second batch, as a machine that runs out of memory does."""

    identity: str = WORDS.identity
    batches: list[int] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(len(texts))
        if len(self.batches) == 3:  # texts and titles of one batch, and the next batch's texts
            raise MemoryError
        return WORDS.encode(texts)


def add_papers(sessions: Sessions, n: int, *, abstract: str = "They count.") -> None:
    with sessions() as session:
        for i in range(n):
            title = f"Bees {i}"
            session.add(
                Paper(
                    title=title,
                    abstract=abstract,
                    authors=[],
                    text_hash=text_hash(text_of(title, abstract)),
                    first_seen_at=NOON,
                )
            )


def ready(sessions: Sessions) -> list[datetime | None]:
    with sessions.reading() as session:
        return list(session.scalars(select(Paper.ready_at).order_by(Paper.id)))


def test_every_paper_is_embedded_once_and_then_ready(sessions: Sessions) -> None:
    add_papers(sessions, 3)
    assert embed_pending(sessions, WORDS, clock=lambda: NOON) == 3
    assert ready(sessions) == [NOON] * 3
    assert embed_pending(sessions, WORDS, clock=lambda: NOON + timedelta(hours=1)) == 0
    assert ready(sessions) == [NOON] * 3


def test_papers_are_ready_when_they_are_embedded_however_long_that_takes(
    sessions: Sessions,
) -> None:
    add_papers(sessions, BATCH + 1)
    hours: list[int] = []
    embed_pending(
        sessions,
        WORDS,
        clock=lambda: NOON + timedelta(hours=len(hours)),
        progress=hours.append,
    )
    assert {*ready(sessions)} == {NOON + timedelta(hours=2)}


def test_the_vector_kept_is_of_the_text_and_less_of_the_title(sessions: Sessions) -> None:
    add_papers(sessions, 1)
    embed_pending(sessions, WORDS, clock=lambda: NOON)
    text = "Bees 0. They count."
    with sessions.reading() as session:
        kept = vectors_of(session, WORDS.identity, [text_hash(text)])[text_hash(text)]
    text_alone, title_alone = WORDS.encode([text, "Bees 0"])
    both = text_alone + TITLE_WEIGHT * title_alone
    np.testing.assert_allclose(kept, both / np.linalg.norm(both), atol=1e-6)
    assert kept.dtype == np.float32


def test_two_papers_of_one_text_are_embedded_once_and_are_both_ready(sessions: Sessions) -> None:
    add_papers(sessions, 1)
    add_papers(sessions, 1)
    assert embed_pending(sessions, WORDS, clock=lambda: NOON) == 1
    assert ready(sessions) == [NOON, NOON]


def test_the_newest_papers_are_embedded_first(sessions: Sessions) -> None:
    add_papers(sessions, 3)
    assert embed_pending(sessions, WORDS, clock=lambda: NOON, limit=2) == 2
    assert ready(sessions) == [None, NOON, NOON]
    with sessions.reading() as session:
        assert list(pending(session, WORDS.identity).values()) == [
            ("Bees 0", "Bees 0. They count.")
        ]


def test_another_encoder_embeds_all_again_and_mixes_with_none(sessions: Sessions) -> None:
    other = WordEncoder(d=32)
    add_papers(sessions, 2)
    embed_pending(sessions, WORDS, clock=lambda: NOON)
    assert embed_pending(sessions, other, clock=lambda: NOON) == 2
    with sessions.reading() as session:
        hashes = session.scalars(select(Paper.text_hash)).all()
        for encoder in WORDS, other:
            kept = vectors_of(session, encoder.identity, hashes)
            assert {vector.shape for vector in kept.values()} == {(encoder.d,)}


def test_a_crash_costs_one_batch(sessions: Sessions) -> None:
    add_papers(sessions, 2 * BATCH + 1)
    encoder: Encoder = Stumbling()
    with pytest.raises(MemoryError):
        embed_pending(sessions, encoder, clock=lambda: NOON)
    assert embed_pending(sessions, encoder, clock=lambda: NOON) == BATCH + 1
    assert ready(sessions) == [NOON] * (2 * BATCH + 1)


def test_progress_is_told_batch_by_batch(sessions: Sessions) -> None:
    texts = {text_hash(str(i)): str(i) for i in range(BATCH + 2)}
    told: list[int] = []
    assert embed_texts(sessions, WORDS, texts, progress=told.append) == BATCH + 2
    assert told == [BATCH, 2]


def test_hashes_without_a_vector_are_left_out(sessions: Sessions) -> None:
    with sessions.reading() as session:
        assert vectors_of(session, WORDS.identity, map(str, range(12_000))) == {}


class TestWordEncoder:
    def test_texts_that_share_more_words_are_nearer(self) -> None:
        bees, hive, rivers = WORDS.encode(["bees count in hives", "Bees in HIVES", "rivers flow"])
        assert bees @ hive > 0.8 > 0.3 > bees @ rivers

    @given(st.lists(st.text(st.characters(exclude_categories=())), max_size=4))
    def test_any_texts_have_unit_vectors_and_always_the_same(self, texts: list[str]) -> None:
        vectors = WORDS.encode(texts)
        assert vectors.shape == (len(texts), WORDS.d)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(vectors, WORDS.encode(texts))
