"""The default model as it is installed, and folders that are no model."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digest.errors import BadEncoder
from digest.papers import encoder as encoding
from digest.papers.encoder import DEFAULT_SHA256, SentenceEncoder


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    """The default model, loaded once."""
    return SentenceEncoder()


def test_the_default_model_finds_like_texts_near(encoder: SentenceEncoder) -> None:
    assert encoder.identity == f"all-MiniLM-L6-v2@{DEFAULT_SHA256['model.safetensors'][:12]}"
    vectors = encoder.encode(
        [
            "A dense retriever that finds passages for questions.",
            "Searching documents to answer what people ask.",
            "The viscosity of a droplet of quarks and gluons.",
            "",
            "word " * 5_000,
        ]
    )
    assert vectors.shape == (5, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_the_faster_way_gives_the_model_s_own_vectors(encoder: SentenceEncoder) -> None:
    texts = [f"{a} {b}" for a in ("graphs of", "voting on", "frozen") for b in ("bees", "lakes")]
    texts.append("a long abstract on attention, memory and rivers " * 30)
    plain = encoder.loaded.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    assert (plain * encoder.encode(texts)).sum(axis=1).min() > 0.9998


def test_weights_other_than_the_pinned_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEFAULT_SHA256, "tokenizer.json", "0" * 64)
    with pytest.raises(BadEncoder, match=r"tokenizer\.json .* not 000000000000…: reinstall"):
        SentenceEncoder().encode(["text"])


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadEncoder, match="holds no model"):
        _ = SentenceEncoder(str(tmp_path)).identity


def test_a_folder_that_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    encoder = SentenceEncoder(str(tmp_path))
    assert encoder.identity.startswith(f"{tmp_path.name}@")
    with pytest.raises(BadEncoder, match=r"cannot load .*: give a folder") as refused:
        encoder.encode(["text"])
    assert "\n" not in str(refused.value)


def test_a_hub_that_is_away_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BadEncoder) as refused:
        SentenceEncoder("foo/bar").encode(["text"])
    said = "encoder: cannot load 'foo/bar' (the model hub does not answer: "
    assert str(refused.value).startswith(said)
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_weights_that_changed_are_another_encoder(tmp_path: Path) -> None:
    identities = set()
    for weights in b"one", b"two":
        (tmp_path / "model.safetensors").write_bytes(weights)
        identities.add(SentenceEncoder(str(tmp_path)).identity)
    assert len(identities) == 2


def test_torch_is_not_imported_before_something_is_encoded() -> None:
    code = (
        "import sys; from digest.papers.encoder import SentenceEncoder; SentenceEncoder().identity;"
        "sys.exit(bool({'torch', 'sentence_transformers', 'sklearn'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadEncoder, match=r"cannot read gone\.bin"):
        encoding._sha256(tmp_path / "gone.bin")
