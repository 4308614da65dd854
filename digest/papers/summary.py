"""Two sentences of an abstract: what is new, and what was found. Never cut mid-thought."""

import re

_ABBREVIATIONS = (
    "e.g. i.e. al. vs. cf. Fig. Figs. Eq. Eqs. Sec. resp. approx. ca. No. Dr. Prof. St. w.r.t. Ref."
)
# A sentence ends at . ! or ? before a space and something that can begin one, but not after an
# abbreviation; after an initial only where the next word is one that sentences begin with.
_END = re.compile(
    "".join(rf"(?<!\b{re.escape(word)})" for word in _ABBREVIATIONS.split())
    + r"(?:(?<!\b[A-Z]\.)|(?=\s(?:We|It|The|This|These|In|Our|For|To|As|Here|However|Then)\b))"
    + r"(?:(?<=[.!?])|(?<=[.!?][\"”\u2019)\]]))\s+(?=[\"“\u2018(\[]?[^\Wa-z_])"
)
_NEW = re.compile(
    r"\b(?:we|I)(?: \w+ly| also| then| first| thus)*,? (?!(?:hope|know|need|have|are|were|can"
    r"|cannot|may|believe|expect|call|observe|want|do|must|should|will|live|see)\b)[a-z]{3,}"
    r"|\b(?:this|the present|our) (?:paper|work|study|article|report|survey|review|thesis)\b"
    r"|\bour (?:method|model|approach|framework|system|robot|index|algorithm|key|main|solution)\b"
    r"|\b(?:is|are) (?:introduced|proposed|presented|developed)\b",
    re.IGNORECASE,
)
_FOUND = re.compile(
    r"\b(?:outperform\w*|surpass\w*|improv\w+|achiev\w+|reduc\w+|results?|experiments?|demonstrat\w+"
    r"|we (?:show|find|prove|observe)|state-of-the-art|faster|better|lower\w*|higher|falls?|rises?"
    r"|raises?|cuts?|fewer|accuracy|evaluat\w+)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w-])[~≈]?\d[\d.,]*\s?(?:%|\u00d7|x\b|points?\b|times\b|-fold\b)?")
_ASIDE = re.compile(
    r"https?://|\b(?:code|data(?:set)?|models?|weights)\b.{0,60}\b(?:available|released?|public\w*)\b"
    r"|\b(?:are|is) (?:\w+ )?(?:public|available|released)\b|\bfuture (?:work|research)\b"
    r"|\bwe (?:also |will |plan to )*(?:hope|release|open-source|discuss|conclude|argue)\b",
    re.IGNORECASE,
)
_LEANS = re.compile(
    r"(?:It|They|This|These|Those|Such|He|She|Here|Both|Moreover|Furthermore|Additionally|Finally|However"
    r"|Otherwise|Then|But|And|Also|Conversely|In contrast)\b"
)
LONGEST = 420


def summarise(abstract: str) -> str:
    """One or two whole sentences of `abstract`, at most `LONGEST` characters where they allow it.

    The sentence that says what is new, and a later one that says what was found; the opening
    sentence where neither is there; empty for an empty abstract.
    """
    sentences = sentences_of(abstract)
    if not sentences:
        return ""
    early = sentences[: 1 + len(sentences) * 3 // 5]
    candidates = [i for i, s in enumerate(early) if _NEW.search(s) and not _ASIDE.search(s)]
    new = next((i for i in [*candidates, 0] if len(sentences[i]) <= LONGEST), 0)
    room = LONGEST - len(sentences[new]) - 1
    weights = {
        i: weight
        for i, sentence in enumerate(sentences)
        if i > new
        and len(sentence) <= room
        and (weight := _weight(sentence, near=i == new + 1)) > 0
    }
    if not weights:
        return sentences[new]
    found = max(weights, key=lambda i: (weights[i], i))
    return f"{sentences[new]} {sentences[found]}"


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, in order, their white space folded."""
    return [sentence for sentence in _END.split(" ".join(text.split())) if sentence]


def _weight(sentence: str, *, near: bool) -> float:
    """How much a sentence says of findings; less where it leans on one that is left out."""
    if _ASIDE.search(sentence):
        return 0.0
    weight = min(3, len(_FOUND.findall(sentence))) + min(3, len(_NUMBER.findall(sentence))) / 2
    return weight - (0 if near else 1.5) * bool(_LEANS.match(sentence))
