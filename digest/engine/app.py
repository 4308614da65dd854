"""App: everything that is wired once at the start and handed to jobs, pages and commands."""

from dataclasses import dataclass

from digest.links import Links
from digest.settings import Settings
from digest.store import Sessions


@dataclass(frozen=True, slots=True)
class App:
    """The settings, and what was made from them."""

    settings: Settings
    sessions: Sessions
    links: Links
