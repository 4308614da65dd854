"""Editions: who is due, what is new for them, rank, freeze."""

from digest.editions.build import BuildReport, Preview, build_editions, due_subscribers, preview
from digest.editions.edition import (
    Edition,
    EditionItem,
    Reason,
    edition_of,
    in_words,
    read_edition,
    read_editions,
)
from digest.editions.schedule import due_on, last_due, local_date_of, next_due
from digest.ranking.types import Lane

__all__ = [
    "BuildReport",
    "Edition",
    "EditionItem",
    "Lane",
    "Preview",
    "Reason",
    "build_editions",
    "due_on",
    "due_subscribers",
    "edition_of",
    "in_words",
    "last_due",
    "local_date_of",
    "next_due",
    "preview",
    "read_edition",
    "read_editions",
]
