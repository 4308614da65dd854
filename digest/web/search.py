"""The door to search: papers by the meaning of some words, and by the words themselves."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from digest.engine.app import App
from digest.errors import BadEncoder
from digest.languages import msgid
from digest.papers.catalog import PaperIndex, index_papers, read_papers
from digest.papers.encoder import Remembered
from digest.store import Sessions
from digest.web.answers import Pages
from digest.web.pace import Pace
from digest.web.papers import PaperLine, lines_of

log = logging.getLogger(__name__)

LONGEST_QUERY = 200
MOST_FOUND = 25
# What is less near than this part of the nearest is left out.
NEAR_ENOUGH = 0.5


class Finder:
    """Finds papers; what was asked lately is remembered until a paper comes in."""

    def __init__(self, typed: Remembered, n: int = 500) -> None:
        """`typed` gives the vectors of what visitors type."""
        self._typed = typed
        self._n = n
        self._lock = Lock()
        self._index: PaperIndex | None = None
        self._found: OrderedDict[tuple[str, int], list[tuple[float, int]]] = OrderedDict()

    def find(self, sessions: Sessions, words: str, *, limit: int) -> list[tuple[float, int]]:
        """Scores and numbers of papers, best first; by the words alone without an encoder."""
        words = " ".join(words.split())[:LONGEST_QUERY]
        if not words:
            return []
        with self._lock, sessions.reading() as session:
            index = index_papers(session, self._typed.encoder.identity, self._index)
            if index is not self._index:
                self._index = index
                self._found.clear()
            found = self._found.get((words, limit))
        if found is None:
            try:
                vector = self._typed.vectors([words])[words] if len(index.ids) else None
            except BadEncoder as error:
                log.warning("search by words alone: %s", error)
                vector = None
            found = index.nearest(vector, words, limit=limit)
            found = [one for one in found if one[0] > 0 and one[0] >= NEAR_ENOUGH * found[0][0]]
            with self._lock:
                self._found[words, limit] = found
                while len(self._found) > self._n:
                    self._found.popitem(last=False)
        return found


class SearchDoors:
    """Open to everybody where the operator wants it, else to whoever has a feed's link."""

    def __init__(self, app: App, pages: Pages, now: Callable[[], datetime], finder: Finder) -> None:
        """Look with `finder`."""
        self.app, self.pages, self.now = app, pages, now
        self._finder = finder
        self._pace = Pace(timedelta(seconds=1), 30)

    def search(self, request: Request) -> Response:
        """The form, and what was found."""
        if not self.app.settings.web.public:
            raise HTTPException(404)
        return self._answer(request, f"{self.app.links.base_path}/search", public=True)

    def search_as(self, request: Request) -> Response:
        """The same for a subscriber."""
        token = request.path_params["token"]
        self.app.links.read(token, "feed", self.now())
        return self._answer(request, f"{self.app.links.base_path}/search/{token}", public=False)

    def _answer(self, request: Request, action: str, *, public: bool) -> Response:
        words = " ".join(request.query_params.get("q", "").split())
        too_long = msgid("at most %(most)s letters, please.", most=LONGEST_QUERY)
        fault = too_long if len(words) > LONGEST_QUERY else ""
        lines: list[PaperLine] = []
        spoken = self.pages.tongues.of(request)
        if words and not fault:
            self._pace.require(request, self.now())
            found = self._finder.find(self.app.sessions, words, limit=MOST_FOUND)
            with self.app.sessions.reading() as session:
                lines = lines_of(read_papers(session, [id_ for _, id_ in found]), spoken)
        return self.pages.show(
            request,
            "search.html",
            422 if fault else 200,
            public=public,
            action=action,
            words=words[: 2 * LONGEST_QUERY],
            longest=LONGEST_QUERY,
            fault=fault,
            papers=lines,
        )
