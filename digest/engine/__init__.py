"""Engine: what is wired, what is due, and doing it, once or by the clock."""

from digest.engine.app import App, begin_with_key, open_app, read_secret
from digest.engine.engines import Engine, open_engine
from digest.engine.jobs import Job, due
from digest.engine.perform import perform
from digest.engine.run import JobReport
from digest.engine.tick import TickReport, tick

__all__ = [
    "App",
    "Engine",
    "Job",
    "JobReport",
    "TickReport",
    "begin_with_key",
    "due",
    "open_app",
    "open_engine",
    "perform",
    "read_secret",
    "tick",
]
