"""Editions: who is due, what is new for them, rank, freeze."""

from digest.editions.build import BuildReport, Preview, build_editions, preview
from digest.editions.edition import Edition, EditionItem, Reason, in_words, read_edition
from digest.editions.schedule import last_due, next_due
from digest.ranking.types import Lane

__all__ = [
    "BuildReport",
    "Edition",
    "EditionItem",
    "Lane",
    "Preview",
    "Reason",
    "build_editions",
    "in_words",
    "last_due",
    "next_due",
    "preview",
    "read_edition",
]
