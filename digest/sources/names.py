"""Names of authors as files word them, in the order in which they are said."""

import re

from digest.sources.text import folded

_SUFFIX = re.compile(r"(?:Jr|Sr|I{2,3}|IV)\.?")
_TAG = re.compile(r"<[^<>]*>")
_BRACKETS = re.compile(r"\([^()]*\)")
# Affiliations within affiliations; deeper ones are not written by people.
_DEEPEST = 4
_BETWEEN_NAMES = re.compile(r"[,;:]\s|\s(?:and|&)\s|[,;:]$")
# Characters; three thousand authors have their names in 60,000.
MOST_NAMES = 300_000
_INITIALS = re.compile(r"(?:\w\.?[\s-]?){1,4}")
_AND = re.compile(r",?\s+(?:and|&)\s+")


def name_said(name: str) -> str:
    """The name in the order in which it is said: `Hopper, Jr, Grace` is `Grace Hopper Jr`."""
    parts = [folded(part) for part in name.split(",")]
    if len(parts) == 2 and _SUFFIX.fullmatch(parts[1]):
        return " ".join(parts)
    surname, given = parts[0], parts[-1] if len(parts) > 1 else ""
    return " ".join(filter(None, [given, surname, *parts[1:-1]]))


def names_of_line(line: str) -> tuple[str, ...]:
    """The names in a line of them, parted by semicolons, by `and`, or by commas."""
    line = folded(line)
    if ";" in line:
        named = line.split(";")
    else:
        parts = [part for part in _AND.split(line) if part]
        # `Hopper, G. and Kay, A.` has surnames first, `G. Hopper, A. Kay and N. N.` has not.
        one_each = bool(parts) and all(part.count(",") == 1 for part in parts)
        named = parts if one_each and _surname_first(parts[0]) else _between_commas(parts)
    return tuple(said for name in named if (said := name_said(name)))


def names_of(line: str) -> tuple[str, ...]:
    """The authors in a line of them, without mark-up and affiliations."""
    line = _TAG.sub("", folded(line[:MOST_NAMES]))
    for _ in range(_DEEPEST):
        line = _BRACKETS.sub(" ", line)
    names: list[str] = []
    for part in map(folded, _BETWEEN_NAMES.split(line)):
        if names and _SUFFIX.fullmatch(part):
            names[-1] += f" {part}"
        elif part:
            names.append(part)
    return tuple(names)


def _surname_first(name: str) -> bool:
    surname, given = map(str.strip, name.split(","))
    return " " not in surname or bool(_INITIALS.fullmatch(given))


def _between_commas(parts: list[str]) -> list[str]:
    names: list[str] = []
    pieces = [piece for part in parts for piece in map(folded, part.split(",")) if piece]
    paired = len(pieces) % 2 == 0 and all(map(_INITIALS.fullmatch, pieces[1::2]))
    if paired and not any(map(_INITIALS.fullmatch, pieces[::2])):
        return [
            f"{surname}, {given}" for surname, given in zip(pieces[::2], pieces[1::2], strict=True)
        ]
    for piece in pieces:
        if names and _SUFFIX.fullmatch(piece):
            names[-1] += f" {piece}"
        else:
            names.append(piece)
    return names
