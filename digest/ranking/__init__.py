"""Ranking: signals to profiles, profiles and candidates to ranked papers. Arrays in and out."""
