"""Offline benchmarks: rankers and peers on other people's libraries, replay, and their tables."""
