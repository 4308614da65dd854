import shutil

import pytest

from digest.evaluation import delivery
from digest.evaluation.delivery import measure_delivery, total_of


@pytest.mark.slow
def test_every_way_of_sending_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FAR", 40)
    monkeypatch.setattr(delivery, "PLAIN", 10)
    told: list[int] = []
    speed = measure_delivery(60, progress=told.append)
    assert sum(told) == total_of(60)
    rates = (speed.rate, speed.rate_2, speed.rate_20ms, speed.rate_50ms, speed.rate_commit_50ms)
    assert min(rates) > 0
    assert speed.baseline_rate
    assert speed.times_baseline == pytest.approx(speed.rate / speed.baseline_rate, abs=0.01)
    assert (speed.messages, speed.mail_kb > 20, speed.peak_mb > 50) == (60, True, True)
    assert (speed.ceiling_rate is None) == (shutil.which("smtp-source") is None)
