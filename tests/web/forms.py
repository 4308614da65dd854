"""The forms of a page, as one that reads its HTML finds them, and as they would be sent."""

from collections.abc import Iterator
from html.parser import HTMLParser


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str], list[dict[str, str]]]] = []
        self._select = self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((told["action"], {}, []))
        if not self.forms:
            return
        _, given, buttons = self.forms[-1]
        name, value = told.get("name", ""), told.get("value", "")
        if tag == "button":
            buttons.append({name: value} if name else {})
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in told or self._select not in given):
            given[self._select] = value
        elif tag == "textarea":
            self._text, given[name] = name, ""
        elif tag == "input" and (
            told.get("type") not in ("checkbox", "radio") or "checked" in told
        ):
            given[name] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        if tag == "textarea":
            self._text = ""

    def handle_data(self, data: str) -> None:
        if self._text:
            self.forms[-1][1][self._text] += data.removeprefix("\n")


def forms_of(html: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each form is posted to and what with, once for every button that it has."""
    reader = _Reader()
    reader.feed(html)
    for action, given, buttons in reader.forms:
        for button in buttons:
            yield action, {**given, **button}
