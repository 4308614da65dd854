"""How well real bounces are read: sisimai's and flufl.bounce's collections, and their answers."""

import csv
from collections import defaultdict
from pathlib import Path

from digest.delivery.bounces.read import read_bounce
from digest.delivery.bounces.report import Finding
from tests.shared import shared

# Whose fault sisimai's reasons are, in our terms.
ABOUT_US = {
    *("authfailure", "badreputation", "blocked", "contenterror", "notcompliantrfc", "norelaying"),
    *("policyviolation", "rejected", "requireptr", "securityerror", "spamdetected"),
    *("syntaxerror", "toomanyconn", "virusdetected"),
}
COMPLAINTS = {"abuse": "complaint", "opt-out": "unsubscribe", "auth-failure": "unknown"}
NO_BOUNCE = ("vacation", "delivered")

Row = dict[str, str]


def findings(*parts: str) -> tuple[Finding, ...]:
    return read_bounce(shared("bounces", *parts).read_bytes()).findings


def expected(name: str) -> list[Row]:
    with shared("bounces", name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def judged() -> list[tuple[Row, Finding | None]]:
    """Each of sisimai's answers with ours; a mail may speak of several recipients, in order."""
    files: dict[str, list[Row]] = defaultdict(list)
    for row in expected("sisimai_expected.tsv"):
        files[row["file"]].append(row)
    pairs: list[tuple[Row, Finding | None]] = []
    for file, rows in files.items():
        ours = findings("sisimai", file)
        pairs += [
            (row, ours[min(n, len(ours) - 1)] if ours else None) for n, row in enumerate(rows)
        ]
    return pairs


def share(hits: list[bool]) -> float:
    assert len(hits) > 10
    return sum(hits) / len(hits)


def test_bounces_are_recognised_and_other_mail_is_not() -> None:
    pairs = judged()
    assert (
        share([found is not None for row, found in pairs if row["reason"] not in NO_BOUNCE]) > 0.99
    )
    assert not any(found for row, found in pairs if row["reason"] in NO_BOUNCE)
    folder: Path = shared("bounces", "not_bounces")
    assert not any(findings("not_bounces", file.name) for file in folder.iterdir())


def test_hard_and_soft_agree_and_where_not_hard_is_rare() -> None:
    # Of ten that differ, most are "user unknown" said in doubtful ways: sisimai takes it for a
    # filter where no command is known, and once where the status is 5.1.1.
    failed = [(r, f) for r, f in judged() if f and r["reason"] not in ("feedback", *NO_BOUNCE)]
    assert share([(f.kind == "hard") == (r["hardbounce"] == "1") for r, f in failed]) > 0.955
    soft = [f.kind != "hard" for r, f in failed if r["hardbounce"] == "0"]
    assert share(soft) > 0.955


def test_our_own_faults_count_against_nobody() -> None:
    soft = [(r, f) for r, f in judged() if f and f.kind == "soft" and r["hardbounce"] == "0"]
    ours = [f.blame == "us" for r, f in soft if r["reason"] in ABOUT_US]
    assert share(ours) > 0.9
    theirs = [f.blame == "mailbox" for r, f in soft if r["reason"] not in ABOUT_US | {"feedback"}]
    assert share(theirs) > 0.94


def test_statuses_agree() -> None:
    # 5.0.9xx and 4.0.9xx are sisimai's own: no mail holds them.
    told = [(r["dsn"], f) for r, f in judged() if f and r["dsn"] and ".9" not in r["dsn"][3:]]
    assert share([found.status == status for status, found in told]) > 0.98


def test_complaints_are_told_from_wishes_and_from_words_about_us() -> None:
    reports = [(r["feedback_type"], f) for r, f in judged() if r["reason"] == "feedback"]
    assert all(found and found.kind == COMPLAINTS[type_] for type_, found in reports)


def test_the_failed_addresses_are_found_and_delays_are_told() -> None:
    found, kinds = [], []
    for row in expected("flufl_expected.tsv"):
        ours = findings("flufl", row["file"])
        addresses = {one.address.lower() for one in ours}
        wanted = [address for address in row["addresses"].lower().split(",") if address]
        found += [address in addresses for address in wanted]
        kinds += [(one.kind == "delayed") == (row["kind"] == "temporary") for one in ours if wanted]
    assert share(found) > 0.98
    assert share(kinds) > 0.9
