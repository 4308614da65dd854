import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digest.evaluation.embeddings import Embeddings
from digest.evaluation.protocol import random_folds, time_fold
from digest.papers.encoder import SentenceEncoder
from tests.cli.conftest import Done, digest, done
from tests.evaluation.libraries import EMBED, World


@dataclass
class Stand:
    """Vectors of words under the identity of the default model, which need not be loaded then."""

    identity: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return EMBED(texts)


@pytest.fixture(scope="module")
def cache(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds all texts of the world's benchmark."""
    folder = tmp_path_factory.mktemp("cache")
    embeddings = Embeddings(Stand(SentenceEncoder().identity), folder)
    embeddings([paper.text for paper in world.collection.papers])
    splits = random_folds(world.collection, world.vectors)
    for fold in (*splits, time_fold(world.collection, world.vectors)):
        for one in world.rounds(fold, ["k0"]):
            embeddings([case.interest.text for case in one.cases if case.interest])
    return folder


PEERS = ("--method", "arxiv_sanity", "--method", "mean_embedding", "--method", "random")


@pytest.fixture(scope="module")
def ran(world: World, cache: Path) -> Done:
    return done("bench", "ranking", world.folder, "--cache", cache, *PEERS)


def test_there_is_a_table_for_each_number_of_likes_and_each_split(ran: Done) -> None:
    for split in ("Random folds", "Time split"):
        for likes in ("an interest alone", "1 like", "3 likes", "10 likes", "all likes"):
            assert f"\n{split}, {likes}: " in ran.out
    assert "nDCG@10" in ran.out
    assert ran.out.count("arxiv_sanity") == ran.out.count("random") - 2
    assert " ±0.0" in ran.out


def test_the_effects_are_tables_of_one_method(ran: Done) -> None:
    for effect in ("down-votes", "diversity", "exploration"):
        assert f"Effect of {effect}, on mean_embedding" in ran.out


def test_seconds_are_told_beside_the_tables(ran: Done) -> None:
    assert "arxiv_sanity: " in ran.err
    assert " users, " in ran.err


def test_json_is_one_object_of_what_the_tables_say(world: World, cache: Path) -> None:
    said: dict[str, Any] = json.loads(
        done("bench", "ranking", world.folder, "--cache", cache, *PEERS[2:], "--json").out
    )
    assert set(said["methods"]) == {"mean_embedding", "random"}
    assert set(said["methods"]["mean_embedding"]) == {"k0", "k1", "k3", "k5", "k10", "k20", "all"}
    assert said["methods"]["mean_embedding"]["k10"]["ndcg@10"] > 0.8
    assert said["part"] == "report"
    assert said["encoder"].startswith("all-MiniLM-L6-v2@")
    assert said["users"] == 45


def test_a_part_is_measured_alone(world: World, cache: Path) -> None:
    arguments = ("bench", "ranking", world.folder, "--cache", cache, "--json", "--method", "random")
    users = {
        part: json.loads(done(*arguments, "--part", part).out)["users"]
        for part in ("tune", "report", "all")
    }
    assert users == {"tune": 15, "report": 45, "all": 60}


def test_a_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    assert "papers.jsonl" in digest("bench", "ranking", tmp_path).error


def test_a_method_that_is_none_is_refused_with_those_that_are(world: World) -> None:
    assert "arxiv_sanity" in digest("bench", "ranking", world.folder, "--method", "best").error


def test_a_part_that_is_none_is_status_2(world: World) -> None:
    assert digest("bench", "ranking", world.folder, "--part", "half").status == 2


def test_a_full_cache_needs_no_torch(world: World, cache: Path) -> None:
    code = (
        "import sys\n"
        "from digest.cli import main\n"
        f"sys.argv = ['digest', 'bench', 'ranking', {str(world.folder)!r}, '--json',"
        f" '--cache', {str(cache)!r}, '--method', 'random', '--part', 'tune']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules, file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == "False\n"
