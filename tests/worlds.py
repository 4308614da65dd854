"""Small real worlds for tests: parts that keep a seam's promise and show the answer at a glance."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class WordEncoder:
    """An Encoder that counts words: texts with more words in common have nearer vectors.

    Each word falls by its CRC-32 on one of `d` dimensions, with a sign; a text without words gets
    the first unit vector. Deterministic, and ready at once.
    """

    d: int = 64
    name: str = "words"

    @property
    def identity(self) -> str:
        """The name under which its vectors are stored."""
        return f"{self.name}-{self.d}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), d)."""
        vectors = np.zeros((len(texts), self.d), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()):
                hashed = crc32(word.encode("utf-8", "replace"))
                vector[hashed % self.d] += 1 if hashed & 0x10000 else -1
            if not vector.any():
                vector[0] = 1
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors
