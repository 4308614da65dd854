from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from digest.errors import BadInput
from digest.evaluation.embeddings import Embeddings, cache_folder
from tests.worlds import WordEncoder


@dataclass
class Counting:
    """A WordEncoder that counts what it is asked."""

    d: int = 16
    asked: list[str] = field(default_factory=list)

    @property
    def identity(self) -> str:
        return f"some/model {self.d}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return WordEncoder(self.d).encode(texts)


TEXTS = ["one", "two words", "one", "", "\ud800"]


def test_a_text_is_encoded_once_whoever_asks_again(tmp_path: Path) -> None:
    encoder = Counting()
    first = Embeddings(encoder, tmp_path / "new")(TEXTS)
    again = Embeddings(encoder, tmp_path / "new")
    assert again.missing([*TEXTS, "three"]) == ["three"]
    np.testing.assert_array_equal(again(TEXTS), first)
    np.testing.assert_array_equal(first, WordEncoder(16).encode(TEXTS))
    assert sorted(encoder.asked) == sorted(set(TEXTS))


def test_vectors_of_two_encoders_never_mix(tmp_path: Path) -> None:
    assert Embeddings(Counting(16), tmp_path)(TEXTS).shape == (5, 16)
    assert Embeddings(Counting(8), tmp_path)(TEXTS).shape == (5, 8)


@pytest.mark.parametrize("damage", [b"", b"not an archive", b"PK\x03\x04"])
def test_a_broken_file_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    Embeddings(Counting(), tmp_path)(TEXTS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    encoder = Counting()
    assert Embeddings(encoder, tmp_path)(TEXTS).shape == (5, 16)
    assert encoder.asked


def test_progress_counts_what_is_encoded(tmp_path: Path) -> None:
    told: list[int] = []
    texts = [f"text {i}" for i in range(150)]
    embeddings = Embeddings(Counting(), tmp_path)
    embeddings(texts, progress=told.append)
    embeddings(texts, progress=told.append)
    assert told == [64, 64, 22]


def test_no_texts_need_no_vectors(tmp_path: Path) -> None:
    assert Embeddings(Counting(), tmp_path)([]).shape[0] == 0
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write"):
        Embeddings(Counting(), tmp_path / "file" / "cache")(TEXTS)


def test_vectors_are_kept_where_the_system_keeps_such_things(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "digest"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "digest"
