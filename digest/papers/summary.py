"""Two sentences of an abstract: what is new, and what was found. Never cut mid-thought."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from unicodedata import east_asian_width

from digest.papers.sentences import (
    alone,
    is_whole,
    lacks_a_word,
    leans,
    needs_a_first,
    sentences_of,
    shortened,
)

# Columns, of which a Chinese character takes two.
LONGEST = 340
# Of one sentence: a longer one loses what only adds to it, so that another has room.
LONG = 180

_WE = r"\b(?:we|I) (?:\w+ly |also |first )?"
_THIS = r"\b(?:this|the present|our) (?:paper|work|study|article|report|survey|review|thesis)\b"
_PROPOSES = re.compile(
    _WE + r"(?:propose|introduce|present|develop|design|describe|build|construct|devise|formulate"
    r"|release|contribute|offer|create|formali[sz]e|establish)\b"
    rf"|{_THIS} (?:\w+ly )?(?:propos|introduc|present|develop|describ|offer)\w+"
    r"|\b(?:is|are) (?:introduced|proposed|presented|developed)\b|提出|介绍",
    re.IGNORECASE,
)
_STUDIES = re.compile(
    _WE + r"(?:study|investigate|examine|analy[sz]e|explore|ask|revisit|identify|argue|address"
    r"|consider|conduct|evaluate|compare|survey|review|measure|test|characteri[sz]e|focus|show|find"
    r"|demonstrate|reveal|prove|report|provide|derive|train|use|extend|systematically)\b"
    rf"|{_THIS} (?!is\b|was\b)[a-z]+|本文|我们",
    re.IGNORECASE,
)
_FOUND = re.compile(
    r"\b(?:outperform|surpass|exceed|improv|achiev|reduc|demonstrat|show|reveal|prove|observ|attain"
    r"|yield|gain|accura)\w*|\b(?:find|found|finding|findings|results?|experiments?|evaluations?"
    r"|state-of-the-art|faster|better|lower|higher|fewer|rises?|falls?|cuts?)\b"
    r"|实验|结果|表明|优于|提高|提升|降低",
    re.IGNORECASE,
)
_SHOWS = re.compile(
    r"\b(?:we|results?|experiments?|evaluations?|findings?|analys[ei]s|study|studies) "
    r"(?:[\w-]+ ){0,8}?(?:show|find|found|demonstrat|reveal|prove|observe|indicat|suggest"
    r"|confirm|discover|achiev|improv|outperform)\w*|表明|结果",
    re.IGNORECASE,
)
_CLAIM = re.compile(r"\b(?:outperform|surpass|exceed|achiev|attain|reduc|improv)\w*", re.IGNORECASE)
_ASIDE = re.compile(
    r"https?://|\bproject page\b|\bfuture (?:work|research)\b"
    r"|\b(?:code|data(?:set)?s?|models?|weights|demos?|videos?)\b.{0,60}"
    r"\b(?:available|publicly|open-sourced)\b"
    r"|\b(?:are|is|be) (?:\w+ )?(?:public|available|released)\b"
    r"|\breleas\w+ (?:the |our |all |its )?(?:source |full )?"
    r"(?:code|data(?:sets)?|models?|weights)\b"
    r"|\bwe (?:also |will |plan to )*(?:hope|open-source|discuss|conclude)\b",
    re.IGNORECASE,
)
_BACKGROUND = re.compile(
    r"\b(?:however|existing|recent(?:ly)?|prior|previous|current(?:ly)?|conventional|traditional"
    r"|typically|often|challeng\w+|remains?|limited|lacks?|struggles?|suffers?|fails?|despite|while"
    r"|unclear|underexplored|has (?:become|emerged)|have (?:become|emerged|shown)|crucial|essential"
    r"|difficult\w*)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w-])[~≈+]?\d[\d.,]*")
_FIGURE = re.compile(r"\d\s?(?:%|\u00d7|x\b|points?\b|times\b|-fold)")
_NAME = re.compile(r"([^:]{2,40}):\s")
# Words, and the characters of scripts that put no space between them.
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]{2,}")
_STOP = frozenset(
    re.findall(
        r"\w+",
        "an the of for and or to in on with by from via is are be as at that this these we our it "
        "its their which using can into than through not how what towards toward based",
    )
)

# Fitted by `digest.evaluation.summaries.fit` on January and February 2026.
NEW: dict[str, float] = {
    "opens": 0.054,
    "place": -0.077,
    "place²": -0.046,
    "proposes": -0.019,
    "proposes first": 0.121,
    "studies": -0.02,
    "background": -0.057,
    "found": -0.011,
    "shows": 0.018,
    "numbers": -0.074,
    "of the title": 0.218,
    "from the title": 0.084,
    "names it": 0.06,
    "frequent": 0.116,
    "length": 0.1,
    "length²": 0.028,
}
FOUND: dict[str, float] = {
    "opens": 0.0,
    "place": -0.024,
    "place²": -0.016,
    "proposes": 0.002,
    "proposes first": 0.002,
    "studies": -0.008,
    "background": 0.006,
    "found": 0.012,
    "shows": -0.008,
    "numbers": -0.054,
    "of the title": 0.04,
    "from the title": 0.019,
    "names it": -0.004,
    "frequent": 0.012,
    "length": -0.001,
    "length²": 0.006,
}
# The summaries that it was fitted to seldom give figures; readers want them.
A_NUMBER = 0.15
# As long as this, a text without a full stop is one that was cut.
_HEADLINE = 120


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an abstract, made to stand alone, and its `features` by name (0 to 1 or so)."""

    text: str
    place: int
    features: Mapping[str, float]


@lru_cache(maxsize=4096)
def summarise(title: str, abstract: str) -> str:
    """One or two sentences of `abstract`: what is new, then what was found.

    At most `LONGEST` columns, unless the shortest sentence there is has more; each made to stand
    alone, none cut mid-thought, every number as it was. Empty without an abstract.
    """
    sentences = read(title, abstract)
    if not sentences:
        return ""
    new = choose_new(sentences)
    if len(new.text) > _HEADLINE and not is_whole(new.text):
        return ""
    found = choose_found(sentences, new)
    return new.text if found is None else join(new, found)


def read(title: str, abstract: str) -> list[Sentence]:
    """The sentences of an abstract with what is to be known of each to choose among them."""
    said = sentences_of(abstract)
    tokens = [_tokens(sentence) for sentence in said]
    counts = Counter(token for some in tokens for token in some)
    of_title = set(_tokens(title))
    name = match[1].casefold() if (match := _NAME.match(title)) else None
    proposes = [bool(_PROPOSES.search(sentence)) for sentence in said]
    made = []
    for i, (sentence, some) in enumerate(zip(said, tokens, strict=True)):
        text = alone(sentence)
        if columns(text) > LONG:
            text = shortened(text)
        words = set(some)
        n = max(1, len(words))
        shared = len(of_title & words)
        place = i / max(1, len(said) - 1)
        features = {
            "opens": i == 0,
            "place": place,
            "place²": place**2,
            "proposes": proposes[i],
            "proposes first": proposes[i] and not any(proposes[:i]),
            "studies": bool(_STUDIES.search(sentence)),
            "background": min(3, len(_BACKGROUND.findall(sentence))) / 3,
            "found": min(3, len(_FOUND.findall(sentence))) / 3,
            "shows": bool(_SHOWS.search(sentence)),
            "numbers": min(3, len(_NUMBER.findall(sentence))) / 3,
            "of the title": shared / max(1, len(of_title)),
            "from the title": shared / n,
            "names it": name is not None and name in text.casefold(),
            "frequent": sum(counts[word] for word in words) / n / 10,
            "length": columns(text) / LONGEST,
            "length²": (columns(text) / LONGEST) ** 2,
        }
        made.append(Sentence(text, i, {key: float(value) for key, value in features.items()}))
    return made


def may_be_new(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Those that can say what is new; never none.

    What the authors did, where one says so; and what fits, and can stand at the front.
    """
    kept = list(sentences)
    for allowed in (
        lambda one: is_whole(one.text),
        lambda one: not lacks_a_word(one.text),
        lambda one: not _ASIDE.search(one.text),
        lambda one: columns(one.text) <= LONGEST,
        lambda one: not leans(one.text),
        lambda one: one.features["proposes"] or one.features["studies"],
        lambda one: not needs_a_first(one.text),
    ):
        kept = [one for one in kept if allowed(one)] or kept
    return kept


def may_be_found(sentences: Sequence[Sentence], new: Sentence) -> list[Sentence]:
    """Those that can say, behind `new`, what was found; where none does, those that say more.

    Shortened where that makes them fit.
    """
    room = LONGEST - columns(new.text) - 1
    finding, other = [], []
    for one in sentences[new.place + 1 :]:
        text = one.text if columns(one.text) <= room else shortened(one.text)
        tied = leans(text) and one.place != new.place + 1
        if columns(text) > room or tied or _ASIDE.search(text):
            continue
        if not is_whole(text) or lacks_a_word(text):
            continue
        claims = _CLAIM.search(text) and not one.features["background"]
        found = one.features["shows"] or _FIGURE.search(text) or claims
        if found:
            finding.append(replace(one, text=text))
        elif not one.features["background"]:
            other.append(replace(one, text=text))
    return finding or other


def choose_new(sentences: Sequence[Sentence], weights: Mapping[str, float] = NEW) -> Sentence:
    """The sentence that says what is new."""
    return max(may_be_new(sentences), key=lambda one: _score(one, weights))


def choose_found(sentences: Sequence[Sentence], new: Sentence) -> Sentence | None:
    """The sentence that says what was found; None where no other does, or none has room."""

    def worth(one: Sentence) -> float:
        return _score(one, FOUND) + A_NUMBER * one.features["numbers"]

    return max(may_be_found(sentences, new), key=worth, default=None)


def join(*sentences: Sentence) -> str:
    """The sentences behind one another, with a space where their script has one."""
    said = ""
    for one in sentences:
        said += " " if said and east_asian_width(said[-1]) not in "WF" else ""
        said += one.text
    return said


def columns(text: str) -> int:
    """How wide a text is: wide characters count twice."""
    return len(text) + (0 if text.isascii() else sum(east_asian_width(c) in "WF" for c in text))


def _score(sentence: Sentence, weights: Mapping[str, float]) -> float:
    return sum(weights[name] * value for name, value in sentence.features.items())


def _tokens(text: str) -> list[str]:
    return [word for word in _TOKEN.findall(text.casefold()) if word not in _STOP]
