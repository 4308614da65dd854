"""A Zotero library as its web API (version 3) gives it: the newest items, a hundred at a time.

pyzotero is not used: it asks for a bibtexparser before 2, and would be a second way out. Pages are
got by the caller's `get`, which is the guarded one.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from digest.errors import BadInput, UnreadablePage
from digest.profiles.exchange import ProfileImport
from digest.profiles.seeds import MOST_SEEDS, like_listings
from digest.sources.listing import Listing
from digest.sources.zotero_json import ZoteroJson, items_of
from digest.store import Sessions

BASE = "https://api.zotero.org"
# What the API gives at most at once (its documentation, "Sorting and Pagination").
_AT_ONCE = 100
_LIBRARY = re.compile(
    r"(?:https://www\.zotero\.org/)?(?P<kind>users/|groups/)?(?P<id>\d{1,12})"
    r"(?:/[\w-]{1,100})??(?P<collection>/collections/[A-Z0-9]{8})?/?",
    re.ASCII,
)


def import_zotero(
    sessions: Sessions,
    subscriber_id: int,
    library: str,
    get: Callable[[str], bytes],
    *,
    now: datetime,
    base: str = BASE,
) -> ProfileImport:
    """Like the newest papers of a Zotero library; safe to repeat.

    `library` is a user's number, `users/N` or `groups/N`, with `/collections/KEY` behind for a part
    of it. `get` gives the body of an address. Raises BadInput, UnreadablePage, and what `get` does.
    """
    match = _LIBRARY.fullmatch(library.strip())
    if match is None:
        raise BadInput(f"a Zotero library is users/NUMBER or groups/NUMBER, not {library!r}")
    place = f"{match['kind'] or 'users/'}{match['id']}{match['collection'] or ''}"
    listings: list[Listing] = []
    reader, total = ZoteroJson(), 0
    for start in range(0, MOST_SEEDS, _AT_ONCE):
        page = get(
            f"{base}/{place}/items/top?v=3&format=json&sort=dateAdded&direction=desc"
            f"&limit={_AT_ONCE}&start={start}"
        )
        n = len(items_of(page))
        total += n
        # A hundred notes in a row are no papers, and no end.
        with suppress(UnreadablePage):
            listings += reader.read(page, now.date())
        if n < _AT_ONCE:
            break
    if not listings:
        raise UnreadablePage("a Zotero library of papers", f"{total} items without a title")
    return like_listings(sessions, subscriber_id, listings, now=now)
