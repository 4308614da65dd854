"""A folder like the benchmark's, whose answer is plain: each reader keeps papers of one topic."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digest.evaluation.protocol import Collection, Embed, Fold, Part, Round, load, rounds
from tests.worlds import WordEncoder

TOPICS = (
    "retrieval", "proteins", "galaxies", "speech", "robots", "markets",
    "climate", "fluids", "vision", "proofs", "networks", "polymers",
)  # fmt: skip
PER_TOPIC = 20
# Readers of one topic, then readers of two.
N_SINGLE, N_DOUBLE = 48, 12


def topic_of(paper: int) -> int:
    """The topic of a paper of the world."""
    return paper % len(TOPICS)


@dataclass(frozen=True)
class World:
    """The folder, read, with vectors of its words."""

    folder: Path
    collection: Collection
    vectors: NDArray[np.float32]

    def rounds(self, fold: Fold, kinds: Sequence[str], part: Part = "all") -> list[Round]:
        """The rounds of a fold, as the benchmark makes them."""
        return list(rounds(self.collection, fold, EMBED, part=part, kinds=kinds))


EMBED: Embed = WordEncoder(512).encode


def write(folder: Path, papers: Sequence[object], libraries: Sequence[object]) -> Path:
    """Write both files, a JSON value a line."""
    for name, lines in (("papers", papers), ("libraries", libraries)):
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def paper(id_: int, rng: np.random.Generator) -> dict[str, object]:
    """A paper whose words tell its topic; their numbers are no ranks in time."""
    topic = TOPICS[topic_of(id_)]
    words = [f"{topic}{rng.integers(6)}" for _ in range(8)]
    noise = [f"word{rng.integers(40)}" for _ in range(8)]
    return {
        "id": id_,
        "title": f"On {topic} and {words[0]}",
        "abstract": " ".join([topic, *words, *noise]),
        "posted_at": f"{datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=id_ * 7 % 240)}",
        "tags": [topic, *words[:2]],
    }


def make(folder: Path) -> World:
    """Write the world into `folder` and read it."""
    rng = np.random.default_rng(11)
    n = len(TOPICS) * PER_TOPIC
    by_topic = [[i for i in range(n) if topic_of(i) == topic] for topic in range(len(TOPICS))]
    libraries = []
    for user in range(N_SINGLE + N_DOUBLE):
        topics = [user % len(TOPICS)] if user < N_SINGLE else [user % 12, (user + 5) % 12]
        kept = [i for topic in topics for i in rng.permutation(by_topic[topic])[:18].tolist()]
        libraries.append({"user": 3 * user + 1, "papers": sorted(kept)})
    write(folder, [paper(i, rng) for i in range(n)], libraries)
    collection = load(folder)
    return World(folder, collection, EMBED([paper.text for paper in collection.papers]))
