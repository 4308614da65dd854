"""Profiles: interests, votes and imports to the signals that ranking fits."""
