"""Editions: who is due, what is new for them, rank, freeze."""

from digest.editions.build import BuildReport, Preview, build_editions, due_subscribers, preview
from digest.editions.edition import (
    Edition,
    EditionItem,
    PaperNote,
    Reason,
    Receipt,
    edition_of,
    in_words,
    note_in_words,
    read_edition,
    read_editions,
    recent_editions,
    standing,
    terms_in_words,
)
from digest.editions.sample import Taste, sample, stored_among, varied_papers
from digest.editions.schedule import due_on, last_due, local_date_of, next_due, zone_of
from digest.ranking.types import Lane

__all__ = [
    "BuildReport",
    "Edition",
    "EditionItem",
    "Lane",
    "PaperNote",
    "Preview",
    "Reason",
    "Receipt",
    "Taste",
    "build_editions",
    "due_on",
    "due_subscribers",
    "edition_of",
    "in_words",
    "last_due",
    "local_date_of",
    "next_due",
    "note_in_words",
    "preview",
    "read_edition",
    "read_editions",
    "recent_editions",
    "sample",
    "standing",
    "stored_among",
    "terms_in_words",
    "varied_papers",
    "zone_of",
]
