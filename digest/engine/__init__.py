"""Engine: what is wired, what is due, and who performs it."""
