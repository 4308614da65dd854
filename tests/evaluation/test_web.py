import pytest

from digest.evaluation import web
from digest.evaluation.web import measure_web
from digest.web import create_web


@pytest.mark.slow
def test_pages_and_votes_are_measured_beside_a_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "IDLE_SECONDS", 0.5)
    told: list[int] = []
    report = measure_web(create_web, 150, progress=told.append)
    for speed in report.databases.values():
        for answers in (speed.edition_alone, speed.vote_alone):
            assert answers.requests > 0
            assert 0 < answers.p50_ms <= answers.p99_ms
        assert speed.edition.failed == speed.vote.failed == 0
        assert speed.messages == 150
    assert set(report.databases) | set(report.left_out) == {"sqlite", "postgresql"}
