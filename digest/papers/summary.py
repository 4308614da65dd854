"""Two sentences of an abstract: what is new, and what was found. Never cut mid-thought."""

import re

# A sentence ends at . ! or ? before a space and a capital, a digit or a quote, but not after an
# abbreviation or an initial.
_END = re.compile(
    r"(?<!\b[A-Z]\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bet al\.)(?<!\bvs\.)(?<!\bcf\.)(?<!\bFig\.)"
    r"(?<!\bEq\.)(?<!\bresp\.)(?<!\bapprox\.)(?<=[.!?])\s+(?=[\"“(]?[A-Z0-9])"
)
_NEW = re.compile(
    r"\b(we|this (paper|work|study|article)|here,?)\b.{0,40}\b(propose|present|introduce|develop|"
    r"describe|show how|design|build|study|investigate|release|revisit|formali[sz]e)",
    re.IGNORECASE,
)
_FOUND = re.compile(
    r"\b(outperform\w*|improv\w+|achiev\w+|reduc\w+|results?|experiments?|demonstrat\w+|we (show|find|"
    r"prove|observe)|state-of-the-art|faster|better|lower|higher|accuracy|evaluat\w+)\b|\d\s*%",
    re.IGNORECASE,
)
LONGEST = 420


def summarise(abstract: str) -> str:
    """One or two whole sentences of `abstract`, at most `LONGEST` characters where they allow it.

    The sentence that says what is new, and a later one that says what was found; the opening
    sentence where neither is there; empty for an empty abstract.
    """
    sentences = [s for s in _END.split(" ".join(abstract.split())) if s]
    if not sentences:
        return ""
    new = next((i for i, s in enumerate(sentences) if _NEW.search(s)), 0)
    found = max(
        (i for i in range(new + 1, len(sentences)) if _FOUND.search(sentences[i])),
        key=lambda i: (_weight(sentences[i]), i),
        default=None,
    )
    chosen = [sentences[new]] + ([sentences[found]] if found is not None else [])
    if len(chosen) == 2 and sum(map(len, chosen)) > LONGEST:
        chosen = chosen[:1]
    return " ".join(chosen)


def _weight(sentence: str) -> int:
    """How much a sentence says of findings: claims and numbers, less when it is very long."""
    claims = len(_FOUND.findall(sentence)) + len(
        re.findall(r"\d+(?:\.\d+)?\s*(?:%|×|x\b)", sentence)
    )
    return claims - len(sentence) // 200
