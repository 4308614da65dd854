"""Templates to what is compiled: in one language, each element with its looks on it.

Many mail programs drop <style>, so looks have to stand on the elements; they are laid there here,
once for all mails, when a template is read. What only <style> can say (dark mode, narrow screens)
goes to the head.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from unicodedata import bidirectional

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, InternationalizationExtension
from markupsafe import Markup

import digest
from digest.languages import Language, language
from digest.mail.content import MailPaper

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_MEDIA = re.compile(r"@media ([^{]+)\{((?:[^{}]+\{[^{}]*\})*)\s*\}")
_RULE = re.compile(r"\s*\.([a-z]+(?: a)?)\s*\{([^{}]*)\}")
_CLASSES = re.compile(r' class="([a-z ]+)"')
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
_DARK = "(prefers-color-scheme:dark)"
# As Outlook's apps mark what they have turned dark by themselves: text, and grounds.
_OUTLOOK = {"background-color": "[data-ogsb]"}
_OUTLOOK_TEXT = "[data-ogsc]"
# Where something of the reader's own goes; no text from outside has it any more.
SLOT = "\0"
_SIDES = {"left": "right", "right": "left"}

Declarations = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Looks:
    """A style sheet taken apart: what stands on elements, by class, and what only <style> can say.

    `head` are whole style sheets of their own: Gmail drops a <style> for one rule that it cannot
    read.
    """

    classes: Mapping[str, Declarations]
    head: tuple[str, ...]
    in_head: frozenset[str]

    def on(self, names: str) -> str:
        """The attributes for an element of these classes: those that the head names, and looks."""
        wanted = names.split()
        if unknown := [name for name in wanted if name not in {*self.classes, *self.in_head}]:
            raise ValueError(f"style.css has no class {unknown[0]!r}")
        # In the order of the sheet: the later rule wins, as in CSS.
        declared: dict[str, str] = {}
        for name, declarations in self.classes.items():
            if name in wanted:
                declared |= declarations
        kept = " ".join(name for name in wanted if name in self.in_head)
        style = ";".join(f"{name}:{value}" for name, value in declared.items())
        return (f' class="{kept}"' if kept else "") + (f' style="{style}"' if style else "")


def read_looks(sheet: str, direction: str) -> Looks:
    """Take a style sheet of classes and @media apart, mirrored for what is read from the right."""
    sheet = _COMMENT.sub("", sheet)
    head, in_head = [], set()
    for condition, rules in _MEDIA.findall(sheet):
        found = _rules(rules, direction)
        in_head |= {name.partition(" ")[0] for name in found}
        lines = [f"@media {condition.strip()}{{"]
        lines += [f".{name}{{{_important(declared)}}}" for name, declared in found.items()]
        lines.append("}")
        if condition.strip() == _DARK:
            lines.insert(0, ":root{color-scheme:light dark;supported-color-schemes:light dark}")
            lines += [
                f"{_OUTLOOK.get(prop, _OUTLOOK_TEXT)} .{name}{{{prop}:{value}!important}}"
                for name, declared in found.items()
                for prop, value in declared.items()
            ]
        head.append("\n".join(lines))
    return Looks(_rules(_MEDIA.sub("", sheet), direction), tuple(head), frozenset(in_head))


def _rules(text: str, direction: str) -> dict[str, Declarations]:
    if left := _RULE.sub("", text).strip():
        raise ValueError(f"style.css has more than classes: {left[:60]!r}")
    return {name: _declarations(body, direction) for name, body in _RULE.findall(text)}


def _declarations(body: str, direction: str) -> Declarations:
    declared = (line.partition(":") for line in body.split(";") if line.strip())
    pairs = ((name.strip(), " ".join(value.split())) for name, _, value in declared)
    return dict(pairs) if direction == "ltr" else dict(_mirrored(*pair) for pair in pairs)


def _mirrored(name: str, value: str) -> tuple[str, str]:
    name = re.sub("left|right", lambda side: _SIDES[side[0]], name)
    value = _SIDES.get(value, value)
    if name in ("margin", "padding") and len(sides := value.split()) == 4:
        value = " ".join((sides[0], sides[3], sides[2], sides[1]))
    return name, value


def _important(declared: Declarations) -> str:
    return ";".join(f"{name}:{value}!important" for name, value in declared.items())


class _Inlined(Extension):
    """Puts the looks of static `class` attributes on their elements, before anything is parsed."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        if not (name or "").endswith(".html"):
            return source
        looks: Looks = self.environment.looks  # type: ignore[attr-defined]
        return _CLASSES.sub(lambda found: looks.on(found[1]), source)


class _Translated(InternationalizationExtension):
    """`{% trans %}` in the environment's language, looked up when a template is compiled.

    What counts something is said in `content`, where the number is known.
    """

    def _make_node(
        self,
        singular: str,
        plural: str | None,
        context: str | None,
        variables: dict[str, nodes.Expr],
        *_rest: Any,
    ) -> nodes.Output:
        if plural is not None or context is not None:
            raise ValueError(f"a template cannot choose how to say {singular!r}")
        spoken: Language = self.environment.language  # type: ignore[attr-defined]
        said = spoken.translated(singular)
        if not variables:
            # So many lines do no harm to HTML, and a text part is folded once for all mails.
            said = wrap(said)
        parts = _PLACEHOLDER.split(said)
        made: list[nodes.Expr] = []
        for i, part in enumerate(parts):
            made.append(variables[part] if i % 2 else nodes.TemplateData(part.replace("%%", "%")))
        return nodes.Output(made)


def templates_folder() -> Path:
    """Where the templates are: inside the installed package, or beside it in a checkout."""
    package = Path(digest.__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


def wrap(text: str, indent: int = 0) -> str:
    """Fold `text`, one line, to 72 columns, later lines indented; a URL in it stays whole."""
    longest = 72 - indent
    if len(text) <= longest:
        return text
    too_long = "[^ ]+ ?" if "://" in text else f".{{{longest}}}"
    lines = re.findall(rf"(?s).{{1,{longest}}}(?: |\Z)|{too_long}", text)
    return f"\n{' ' * indent}".join(line.rstrip(" ") for line in lines)


def fold(text: str) -> str:
    """Break `text`, one line, between words where in HTML it might be too long a line for mail.

    A line that every server leaves alone has 998 octets (RFC 5321); a letter beyond ASCII takes up
    to ten, as a reference.
    """
    is_short = text.isascii() or len(text.encode("ascii", "xmlcharrefreplace")) < 320
    return text if is_short else wrap(text)


def turned(spoken: Language, text: str) -> Markup:
    """The dir of an element whose `text` is read the other way than what is around it."""
    turn = "rtl" if spoken.direction == "ltr" else "ltr"
    wanted = ("R", "AL") if turn == "rtl" else ("L",)
    strong = (b for b in map(bidirectional, text) if b in ("L", "R", "AL"))
    return Markup(f' dir="{turn}"' if next(strong, "") in wanted else "")  # noqa: S704


@cache
def templates(code: str) -> jinja2.Environment:
    """The templates of mails, which are compiled when they are first asked for."""
    folder = templates_folder() / "mail"
    spoken = language(code)
    looks = read_looks((folder / "style.css").read_text(encoding="utf-8"), spoken.direction)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=jinja2.select_autoescape(("html",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        extensions=[_Inlined, _Translated],
    )
    environment.extend(looks=looks, language=spoken)
    environment.policies["ext.i18n.trimmed"] = True
    environment.filters |= {
        "wrap": wrap,
        "fold": fold,
        "turned": partial(turned, spoken),
        "placed": _placed,
    }
    environment.globals.update(
        lang=spoken.code,
        dir=spoken.direction,
        start="left" if spoken.direction == "ltr" else "right",
        end="right" if spoken.direction == "ltr" else "left",
        sheets=looks.head,
        slot=SLOT,
    )
    # Ours are plain values: what Jinja2 does beyond this costs more than all the escaping.
    environment.getattr = getattr  # type: ignore[assignment]
    return environment


@cache
def template(code: str, name: str) -> jinja2.Template:
    """One of the templates, read and compiled when it is first asked for."""
    found = templates(code).get_template(name)
    # A chain of mappings takes ten times as long to look through, at every mail.
    found.globals = dict(found.globals)
    return found


def _placed(paper: MailPaper, lead: bool = False) -> Markup:  # noqa: FBT001, FBT002 - of a template
    """A mark in the place of a paper, which is laid out by itself."""
    return mark(f"{paper.title}{' lead' if lead else ''}")


def mark(name: str) -> Markup:
    """What stands in a template's output for what is each reader's own."""
    return Markup(f"{SLOT}{name}{SLOT}")  # noqa: S704


def forget() -> None:
    """Read templates and catalogues anew when they are next asked for."""
    for kept in (templates, template, language, version):
        kept.cache_clear()


@cache
def version() -> str:
    """A hash of what makes mails of what is frozen: templates, catalogues, this room, text."""
    package = Path(digest.__file__).parent
    files = [
        *(templates_folder() / "mail").rglob("*.*"),
        *(package / "languages").glob("*.p[oy]"),
        *(package / "mail").glob("*.py"),
        package / "text.py",
    ]
    hashed = sha256()
    for file in sorted(files, key=lambda file: file.as_posix()):
        hashed.update(file.name.encode() + b"\0" + sha256(file.read_bytes()).digest())
    return hashed.hexdigest()
