"""Vectors of benchmark texts, kept in a folder so that a text is encoded once a model."""

import os
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from digest.errors import BadInput
from digest.papers.encoder import Encoder

# Texts between two moves of the progress bar, and between two saves.
BATCH, SAVE_EVERY = 64, 1024


def cache_folder() -> Path:
    """Where this system keeps what can be made again: XDG_CACHE_HOME, else ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "digest"


class Embeddings:
    """An encoder with a memory: one file a model, keyed by the model's identity and text hashes."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        """Remember in `folder` what `encoder` encodes; a file that is broken is made anew."""
        self.encoder = encoder
        name = re.sub(r"[^\w.@-]+", "_", encoder.identity)[-80:]
        self.file = folder / f"{name}-{_hash(encoder.identity)[:8]}.npz"
        self._have = _read(self.file)

    @property
    def identity(self) -> str:
        """The encoder's own."""
        return self.encoder.identity

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As an Encoder has it, from memory where it can."""
        return self(texts)

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Those of `texts` that have no vector yet, once each."""
        return [text for text in dict.fromkeys(texts) if _hash(text) not in self._have]

    def __call__(
        self, texts: Sequence[str], *, progress: Callable[[int], None] = lambda _n: None
    ) -> NDArray[np.float32]:
        """Vectors, shape (len(texts), d); `progress` is told how many texts were encoded.

        Raises BadInput if the folder cannot be written, and BadEncoder.
        """
        missing = self.missing(texts)
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            vectors = self.encoder.encode(batch)
            self._have |= {_hash(text): v for text, v in zip(batch, vectors, strict=True)}
            done = start + len(batch)
            if done % SAVE_EVERY == 0 or done == len(missing):
                self._save()
            progress(len(batch))
        if not texts:
            return np.zeros((0, 0), np.float32)
        return np.stack([self._have[_hash(text)] for text in texts])

    def _save(self) -> None:
        part = self.file.with_suffix(f".{os.getpid()}.part")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as opened:
                np.savez(opened, keys=list(self._have), vectors=np.stack(list(self._have.values())))
            part.replace(self.file)
        except OSError as error:
            raise BadInput(f"cannot write {self.file}: {error.strerror}") from None


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read(file: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with file.open("rb") as opened, np.load(opened) as kept:
            return dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return {}
