"""Speed is measured of what an edition needs, and said with what it is compared to."""

import json

import numpy as np
import pytest

from digest.evaluation import scale
from digest.evaluation.scale import SHARD, measure_embedding, measure_scale
from tests.cli.conftest import done
from tests.worlds import WordEncoder


def test_seconds_are_compared_with_the_bare_products_of_the_same_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What takes longest is to span the space, which is not what is compared.
    monkeypatch.setattr(scale, "_BACKGROUND", 300)
    told: list[int] = []
    measured = measure_scale(SHARD + 20, 30, progress=told.append)
    assert told == [SHARD, 20]
    assert measured.seconds > measured.gemm_seconds > 0
    assert measured.ratio == pytest.approx(measured.seconds / measured.gemm_seconds, rel=0.1)
    assert measured.space_seconds > 0
    assert 50 < measured.peak_mb < 5000
    assert (measured.subscribers, measured.papers) == (SHARD + 20, 30)


def test_embedding_says_how_far_it_agrees_with_the_plain_one() -> None:
    titles = [f"robot {n}" for n in range(8)]
    texts = [f"{title}. It grasps object {n} with a gripper" for n, title in enumerate(titles)]
    encoder = WordEncoder()
    measured = measure_embedding(encoder, encoder.encode, titles, texts)
    assert measured.texts == 8
    assert measured.least_cosine == pytest.approx(1)
    assert 0 < measured.paper_cosine < 1
    assert measured.per_second > 0
    assert np.isfinite([measured.ratio, measured.papers_ratio]).all()


def test_the_command_prints_one_object() -> None:
    printed = json.loads(
        done("bench", "scale", "--subscribers", "40", "--papers", "12", "--json").out
    )
    assert {
        "seconds",
        "gemm_seconds",
        "ratio",
        "peak_mb",
        "subscribers",
        "papers",
        "space_seconds",
    } == set(printed)
    assert (printed["subscribers"], printed["papers"]) == (40, 12)


@pytest.mark.slow
def test_embedding_needs_no_file_of_yours() -> None:
    printed = json.loads(done("bench", "embed", "--texts", "3", "--json").out)
    assert printed["texts"] == 3
    assert printed["least_cosine"] > 0.9998
    assert printed["paper_cosine"] > 0.9
    assert printed["encoder"].startswith("all-MiniLM-L6-v2@")
