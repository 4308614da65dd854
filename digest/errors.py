"""Every error that Digest raises on purpose, split by what to do next.

    DigestError
    ├── Refused                 tell the user; trying again changes nothing
    │   ├── BadSettings         digest.toml or a DIGEST_* variable
    │   ├── BadInput            an address, a zone, an hour, a name
    │   ├── Unknown             no such subscriber, paper, source, edition
    │   ├── UnreadablePage      a page that no reader understands
    │   ├── BadToken            a forged, foreign or expired link
    │   ├── BadEncoder          model files missing or not the ones expected
    │   └── WrongDatabase       too new, not migrated, not ours
    └── Deferred                the world was not ready; try again later
        ├── SourceUnreachable   a page could not be fetched
        └── ServiceUnreachable  database, broker or mail server

A skip ("nothing new", "not confirmed") is data, not an error.
"""


class DigestError(Exception):
    """What every error below has in common: its text is one line for a person."""

    @property
    def message(self) -> str:
        """The text as it was raised; where `msgid` made it, it can be said in other languages."""
        message: str = self.args[0]
        return message


class Refused(DigestError):
    """It cannot be done as asked; the text says what is allowed."""


class BadSettings(Refused):
    """The settings are wrong; the text names the key, and the line where there is one."""


class BadInput(Refused):
    """A value that somebody typed is not allowed."""

    def __init__(self, message: str, *, field: str = "") -> None:
        """Name the `field` it was typed in, where there is one."""
        super().__init__(message)
        self.field = field

    def __str__(self) -> str:
        """With the field's name before it."""
        return f"{self.field}: {self.message}" if self.field else self.message


class Unknown(Refused):
    """Nothing of that name is stored."""


class UnreadablePage(Refused):
    """A page could not be read with confidence, so nothing of it was stored."""

    def __init__(self, expected: str, found: str) -> None:
        """Say what the reader `expected` and what it `found`, each a short phrase."""
        super().__init__(f"expected {expected}; found {found}")
        self.expected = expected
        self.found = found


class BadToken(Refused):
    """The link is not one that we signed for this purpose, or its time is over."""

    def __init__(self, message: str, *, expired: bool = False) -> None:
        """Tell an `expired` link, for which there is a way on, from a false one."""
        super().__init__(message)
        self.expired = expired


class BadEncoder(Refused):
    """The encoder cannot be loaded, or its files are not the pinned ones."""


class WrongDatabase(Refused):
    """The database is newer than this program, or was made by another."""


class Deferred(DigestError):
    """The world was not ready; the same call may work later."""


class SourceUnreachable(Deferred):
    """A source did not answer, or not with a page."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        """Give the seconds after which a busy source wants to be asked again."""
        super().__init__(message)
        self.retry_after = retry_after


class ServiceUnreachable(Deferred):
    """A database, broker or mail server did not answer."""
