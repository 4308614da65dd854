"""The whole of `digest bench ranking` on real libraries; minutes long, most of it encoding."""

from pathlib import Path
from typing import Any

import pytest

from digest.evaluation.embeddings import Embeddings
from digest.evaluation.protocol import load
from digest.evaluation.ranking import OURS, all_methods, as_json, run
from digest.papers.encoder import SentenceEncoder
from tests.shared import shared

pytestmark = pytest.mark.slow
KINDS = ("k1", "k3", "k5", "k10", "k20", "all")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = shared("citeulike")
    collection = load(folder)
    embeddings = Embeddings(SentenceEncoder(), tmp_path_factory.mktemp("cache"))
    vectors = embeddings([paper.text for paper in collection.papers])
    return as_json(run(collection, vectors, embeddings, all_methods(embeddings)))


def test_the_peers_are_as_good_as_they_are_known_to_be(said: dict[str, Any]) -> None:
    """RANKING.md has .317, .314, .347 and .318 on all users and tuned settings."""
    known = {
        "arxiv_sanity": 0.317,
        "zotero_arxiv_daily": 0.307,
        "scholar_inbox": 0.342,
        "mean_embedding": 0.307,
        "random": 0.015,
    }
    for name, ndcg in known.items():
        assert said["methods"][name]["all"]["ndcg@10"] == pytest.approx(ndcg, abs=0.004)


def test_everybody_beats_chance(said: dict[str, Any]) -> None:
    for name, kinds in said["methods"].items():
        if name != "random":
            for kind in KINDS:
                assert kinds[kind]["ndcg@10"] > 5 * said["methods"]["random"][kind]["ndcg@10"]


def test_ours_is_well_above_what_people_use_today(said: dict[str, Any]) -> None:
    methods = said["methods"]
    for kind in KINDS:
        for name in ("arxiv_sanity", "zotero_arxiv_daily"):
            assert methods[OURS][kind]["ndcg@10"] > 1.10 * methods[name][kind]["ndcg@10"], kind
        for name in ("scholar_inbox", "mean_embedding"):
            errors = 0 if kind == "k1" else 2
            lead = methods[name][kind]
            assert lead["lead"] > errors * lead["lead_se"], (name, kind)
