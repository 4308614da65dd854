"""Digest: trending papers in your inbox, ranked for you."""

__version__ = "0.1.0"
