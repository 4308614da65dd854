"""Engine: what is wired, what is due, and doing it, once or by the clock."""

from digest.engine.app import App, open_app, read_secret
from digest.engine.jobs import Job, due
from digest.engine.perform import perform
from digest.engine.tick import JobReport, TickReport, tick

__all__ = [
    "App",
    "Job",
    "JobReport",
    "TickReport",
    "due",
    "open_app",
    "perform",
    "read_secret",
    "tick",
]
