"""The sentences of an abstract, each made to stand alone: no connective, no dangling pronoun."""

import re

_ABBREVIATIONS = (
    "e.g. i.e. al. vs. cf. viz. Fig. Figs. Eq. Eqs. Sec. Tab. Alg. Thm. Def. Ref. Refs. Ch. Vol. "
    "resp. approx. ca. No. Nos. Dr. Mr. Mrs. Prof. St. w.r.t. i.i.d. a.k.a. incl. pp. eds."
)
# The full stops of Chinese, Japanese, Hindi and Arabic, and what may close a quotation behind one.
_STOPS = "\u3002\uff01\uff1f\uff61\u0964\u061f"
_CLOSERS = '"\u201d\u2019\u300d\u300f\uff09'
_STARTS = (
    r"(?:We|It|The|This|These|In|Our|For|To|As|Here|However|Then|By|Using|Experiments|Extensive"
    r"|Results|Code|Moreover|Furthermore|Additionally|Finally|Specifically|Notably)\b"
)
# A sentence ends at . ! or ? before a space and something that can begin one, but not after an
# abbreviation; after an initial only where the next word is one that sentences begin with. Names
# like e5-omni and dLLM begin one, too. Scripts without spaces have full stops of their own.
_END = re.compile(
    "".join(rf"(?<!\b{re.escape(word)})" for word in _ABBREVIATIONS.split())
    + rf"(?:(?<!\b[A-Z]\.)|(?=\s{_STARTS}))"
    + r"(?:(?<=[.!?])|(?<=[.!?][\"”\u2019)\]]))"
    + r"\s+(?=[\"“\u2018(\[]?(?:[^\Wa-z_]|[a-z]{1,6}-?[A-Z0-9]))"
    + r"|(?<=[a-z]{3}\.)(?=[A-Z][a-z]+,? [a-z])"
    + rf"|(?<=[{_STOPS}])(?![{_CLOSERS}])\s*"
)
_PARAGRAPH = re.compile(r"\n\s*\n")

_LABEL = re.compile(
    r"^(?:abstract|background|introduction|motivation|objectives?|aims?|purpose|methods?|materials"
    r" and methods|design|results?|findings|conclusions?|significance|summary|interpretation)"
    r"\s*(?:[:.]|\u2013|-)\s+(?=\S)",
    re.IGNORECASE,
)
_NOUN = r"(?:[\w\u2019'/-]+ ){0,4}[\w\u2019'/-]+"
# What ties a sentence to the one before, and says nothing of its own.
_OPENING = re.compile(
    r"^(?:(?:and|but|yet|so|however|furthermore|moreover|additionally|in addition|further|also"
    r"|besides|specifically|concretely|in particular|in detail|notably|crucially|importantly"
    r"|critically|remarkably|interestingly|surprisingly|finally|lastly|overall|together"
    r"|taken together|collectively|in summary|in short|in conclusion|to conclude|to sum up"
    r"|consequently"
    r"|accordingly|therefore|thus|hence|as a result|as such|in turn|meanwhile|instead|in contrast"
    r"|by contrast|conversely|nevertheless|nonetheless|otherwise|similarly|likewise|for instance"
    r"|for example|first|firstly|second|secondly|third|thirdly|next|then|subsequently|here|now"
    r"|more broadly"
    r"|to (?:this|that) (?:end|aim|goal)|to do so|in so doing|in this way|in doing so"
    r"|with this in mind|on the other hand|in this regard|in response|empirically|more importantly"
    r"|in (?:this|the present|our) (?:\w+ )?(?:paper|work|study|article|report|survey|review|thesis"
    r"|tutorial|letter|note|preprint)"
    r"|(?:to|for) [a-z]+(?:ly)? (?:(?:and|or) \w+ )?(?:this|these|those|such|both)(?: "
    + _NOUN
    + r")?"
    r"|(?:motivated|guided|inspired|driven|informed|prompted) by (?:this|these|such|the above)(?: "
    + _NOUN
    + r")?"
    r"|(?:based|building|drawing|capitali[sz]ing) (?:up)?on (?:this|these|such|the above)(?: "
    + _NOUN
    + r")?"
    r"|(?:using|with|through|via|leveraging|despite) (?:this|these|such|the above)(?: "
    + _NOUN
    + r")?"
    r"),\s+"
    r"|(?:here|thus|hence|then|finally|therefore"
    r"|in this (?:paper|work|study|article|report)) (?=we\b))",
    re.IGNORECASE,
)
# Why something was made, before what was made.
_AIM = re.compile(
    r"^(?:to|in order to|motivated by|inspired by|based on|building on|drawing on) .{5,160}?, "
    r"(?=we (?:propose|introduce|present|develop|design)\b)",
    re.IGNORECASE,
)
_WE_TOO = re.compile(
    r"^((?:We|Our \w+|Results|Experiments|This (?:paper|work|study|article))) "
    r"(?:also|first|further|then|additionally|therefore|thus|hence|finally|next|subsequently|furthermore"
    r"|moreover|thereby) (?=[a-z])"
)
_EXAMPLE = re.compile(r"\s*\((?:e\.g\.|i\.e\.|for example|such as|see)[^()\d]*\)", re.IGNORECASE)
_THESE = re.compile(
    r"^(?:This(?! results)|These|Such) (?=(?:[a-z-]+ )?(?:results?|findings?|experiments"
    r"|evaluations?|approach|method|framework|model|system|design|strategy|technique|pipeline"
    r"|mechanism|architecture|analys[ie]s|dataset|benchmark|algorithm|formulation)\b)"
)
# A clause at the end that says what good comes of it, and no figure.
_COMMENT = re.compile(
    r"^(?P<kept>.*?)(?:, (?:thereby |thus |hence |further )?| thereby )"
    r"(?:making|offering|providing|paving|highlighting|underscoring|opening|laying|establishing|enabling|demonstrating|showing"
    r"|suggesting|allowing|facilitating|ensuring|fostering|advancing|marking|shedding|validating"
    r"|confirming|indicating|supporting)\b[^,;:\d]*\.$"
)
# What a colon or semicolon leads to, where what is before it is whole.
_LIST = re.compile(
    r"^(?P<kept>[^:;]*)(?<!\bas follows)(?<!\b(?:is|as|by|of|in|to|on))(?<!\b(?:are|and|for|via))"
    r"[:;] (?=.*(?:;|\(\w+\)|, (?:and|or) ))[^?]*$"
)
_LEAST_KEPT = 60


# What needs a sentence before it to be understood.
_SELF = r"(?:paper|work|study|article|report|survey|review|thesis|tutorial|letter|note)\b"
_LEANS = re.compile(
    r"(?:it|they|its|their|he|she|both|each|doing so|by doing so|as such|the (?:former|latter"
    r"|resulting|two|same|second|third|other|others|above|rest))\b"
    rf"|(?!we\b)(?:\S+ ){{0,4}}(?:this|these|those)\b(?! (?:\w+ )?{_SELF})"
    r"|such (?!as\b)|(?:on|in|with|from|for|by) (?:it|them)\b|[(\[]"
    r"|we \w+ (?:none|both|neither|it|them)[.,;:]"
    r"|(?:and|or|but|whereas|which|who)\b",
    re.IGNORECASE,
)
_NAMES_NOTHING = re.compile(
    r"the (?:[a-z-]+ )?(?:results?|findings?|experiments|evaluations?|approach|method|framework"
    r"|model|system|design|strategy|technique|pipeline|mechanism|architecture|analys[ie]s|dataset"
    r"|benchmark|algorithm|formulation|proposed|key|core)\b",
    re.IGNORECASE,
)

_POINTS_BACK = re.compile(rf"\b(?:these|those|this (?!{_SELF}))|\bsuch (?!as\b)", re.IGNORECASE)
_WHOLE = re.compile(rf"(?<!\.\.)[.!?{_STOPS}][{_CLOSERS})\]]*$")
# What is left around a word that was lost, and where one is missed.
_AROUND_NOTHING = re.compile(r"\s*\(\s*\)|(?<=\))\s+(?=,\s)")
_GAP = re.compile(
    r"\b(?:introduces?|presents?|proposes?|called|dubbed|named|termed) ,", re.IGNORECASE
)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, in order, their white space folded; a paragraph ends one."""
    return [
        sentence
        for paragraph in _PARAGRAPH.split(text)
        for sentence in _END.split(" ".join(paragraph.split()))
        if sentence
    ]


def alone(sentence: str) -> str:
    """The sentence without what ties it to the ones before it, and without examples.

    "Furthermore, we also show" becomes "We show", "These results suggest" "The results suggest".
    What it says, its numbers above all, stays as it is.
    """
    said = sentence = _AROUND_NOTHING.sub("", sentence)
    while (rest := _LABEL.sub("", _OPENING.sub("", said))) != said:
        said = rest
    said = _begun(_AIM.sub("", said)) or sentence
    return _begun(_EXAMPLE.sub("", _THESE.sub("The ", _WE_TOO.sub(r"\1 ", said)))) or sentence


def shortened(sentence: str) -> str:
    """The sentence without what only adds to it: a last comment, a list behind a colon."""
    for extra in (_COMMENT, _LIST):
        match = extra.search(sentence)
        kept = match["kept"].rstrip(" ,") if match else ""
        if len(kept) >= _LEAST_KEPT and kept.count("(") == kept.count(")"):
            sentence = f"{kept}."
    return sentence


def leans(sentence: str) -> bool:
    """Whether the sentence is understood right behind the one before it alone ("It ...")."""
    return bool(_LEANS.match(sentence))


def needs_a_first(sentence: str) -> bool:
    """Whether the sentence speaks of what another has to name first ("The method ...")."""
    return leans(sentence) or bool(_NAMES_NOTHING.match(sentence) or _POINTS_BACK.search(sentence))


def is_whole(sentence: str) -> bool:
    """Whether the sentence ends, as the last one of a text that was cut does not."""
    return bool(_WHOLE.search(sentence))


def lacks_a_word(sentence: str) -> bool:
    """Whether a word was lost, as a macro of its authors is ("our method, called , is")."""
    return bool(_GAP.search(sentence))


def _begun(said: str) -> str:
    """With a capital, but for names that have none at their front."""
    word = said.split(" ", 1)[0]
    return said if re.search(r"[A-Z0-9]", word[1:]) else said[:1].upper() + said[1:]
