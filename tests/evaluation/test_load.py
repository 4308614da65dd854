import smtplib
from xml.etree import ElementTree as ET

import pytest

from digest.errors import BadInput
from digest.evaluation.load import LoadReport, as_html, run_load_test
from digest.evaluation.sink import Sink
from digest.store import open_database
from tests.web.seed import add_subscriber
from tests.worlds import WordEncoder


@pytest.fixture(scope="module")
def report() -> LoadReport:
    return run_load_test(60, encoder=WordEncoder())


def test_every_mail_of_the_day_is_taken_once_or_refused(report: LoadReport) -> None:
    assert report.is_sound
    assert (report.editions, report.sent + report.refused, report.doubled) == (60, 60, 0)
    # About one in ten tries is put off and one reader in fifty unknown, the same ones every time.
    assert report.tries_put_off > 0
    assert report.refused > 0
    assert report.distinct > 50
    assert report.votes == 60 // 5


def test_the_report_draws_the_day(report: LoadReport) -> None:
    html = as_html(report)
    page = ET.fromstring(html.removeprefix("<!DOCTYPE html>").replace('<meta charset="utf-8">', ""))
    assert html.count("<svg") == 3
    assert page.findtext("body/h1") == "One day for 60 readers"
    assert {"ingest", "embed", "deliver", "votes"} <= set(report.stages)


def test_a_database_with_subscribers_is_not_used(sqlite_url: str) -> None:
    sessions = open_database(sqlite_url)
    with sessions() as session:
        add_subscriber(session, "ann@example.org")
    sessions.engine.dispose()
    with pytest.raises(BadInput, match="holds subscribers"):
        run_load_test(1, encoder=WordEncoder(), database=sqlite_url)


def test_a_sink_refuses_for_now_or_for_good_as_it_is_told() -> None:
    for how, code in (({"refuse": 1}, 550), ({"defer": 1}, 451), ({}, 250)):
        with Sink(**how) as sink, smtplib.SMTP("127.0.0.1", sink.port) as smtp:
            smtp.ehlo()
            smtp.mail("a@example.org")
            assert smtp.rcpt("b@example.org")[0] == code
