"""What a checkup finds."""

from dataclasses import dataclass
from typing import Literal

Health = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part is; `fix` says what to do where it is not well."""

    part: str
    health: Health
    said: str
    fix: str = ""
