from pathlib import Path

import pytest

from digest.engine.dns import FileRecords, LiveRecords, check_dns
from digest.engine.findings import Finding
from digest.errors import BadInput, ServiceUnreachable
from digest.mail.dkim import Signer
from digest.settings import Settings
from tests.engine.dns_server import answering
from tests.mail.dkim_keys import pem, rsa_key

SENDER = {"from_address": "digest@papers.lab.test"}
MX = "papers.lab.test. MX 10 mail.lab.test.\n"
SPF = 'papers.lab.test. TXT "v=spf1 ip4:192.0.2.1 -all"\n'
DMARC = '_dmarc.lab.test. TXT "v=DMARC1; p=reject"\n'


def found(zone: str, **parts: object) -> dict[str, Finding]:
    settings = Settings.model_validate({"mail": SENDER, "smtp": {"host": "127.0.0.1"}, **parts})
    signer = Signer(settings.dkim, settings.mail.from_address.rpartition("@")[2])
    with answering(zone) as resolver:
        findings = list(check_dns(settings, signer, LiveRecords(resolver)))
    assert all(bool(one.fix) == (one.health != "ok") for one in findings)
    return {one.part: one for one in findings}


def test_a_domain_with_all_records_has_no_findings() -> None:
    parts = found(MX + SPF + DMARC)
    assert {one.health for one in parts.values()} == {"ok"}
    assert parts["dmarc"].said == "_dmarc.lab.test: p=reject, aligned: SPF and DKIM"


def test_a_domain_without_any_is_told_what_to_publish() -> None:
    parts = found("other.test. A 192.0.2.1\n")
    assert {name: one.health for name, one in parts.items()} == {
        "spf": "warning", "dkim": "ok", "dmarc": "warning", "bounces": "warning",
    }  # fmt: skip
    assert parts["spf"].fix.startswith('publish TXT papers.lab.test "v=spf1 ')
    assert parts["dmarc"].fix.startswith('publish TXT _dmarc.papers.lab.test "v=DMARC1; p=none')


@pytest.mark.parametrize(
    ("spf", "health", "said"),
    [
        ('"v=spf1 a -all"\npapers.lab.test. TXT "v=spf1 mx -all"', "fault", "2 SPF records"),
        ('"v=spf1 include:deep.test -all"', "fault", "asks the DNS 11 times"),
        ('"v=spf1 include:loop.test -all"', "ok", "(2 lookups)"),
        ('"v=spf1 a +all"', "warning", "anybody may send for it"),
        ('"v=spf1 a"', "warning", "has no end"),
        ('"v=spf1 redirect=deep10.test"', "ok", "(1 lookups)"),
        ('"v=spf1 " "a mx " "-all"', "ok", "v=spf1 a mx -all (2 lookups)"),
        ('"v=spf10 not this one" ', "warning", "no SPF record"),
    ],
)
def test_spf_is_one_record_of_ten_lookups_with_an_end(spf: str, health: str, said: str) -> None:
    zone = MX + DMARC + f"papers.lab.test. TXT {spf}\n"
    zone += 'deep.test. TXT "v=spf1 a mx ptr exists:a a a a a a a -all"\n'
    zone += 'loop.test. TXT "v=spf1 include:loop.test -all"\ndeep10.test. TXT "v=spf1 -all"\n'
    one = found(zone)["spf"]
    assert (one.health, said in one.said) == (health, True), one.said


@pytest.fixture
def key(tmp_path: Path) -> Path:
    (tmp_path / "dkim.pem").write_bytes(pem(rsa_key()))
    return tmp_path / "dkim.pem"


def published(key: Path) -> str:
    ((name, text),) = Signer(
        Settings.model_validate({"dkim": {"rsa_key": key}}).dkim, "papers.lab.test"
    ).dns_records()
    halves = f'"{text[:200]}" "{text[200:]}"'
    return f"{name}. TXT {halves}\n"


def test_the_published_key_is_compared_with_ours(key: Path) -> None:
    zone = MX + SPF + DMARC
    whole = published(key)
    dkim = {"rsa_key": key}
    assert found(zone + whole, dkim=dkim)["dkim"].health == "ok"
    missing = found(zone, dkim=dkim)["dkim"]
    assert (missing.health, "nobody can check" in missing.said) == ("fault", True)
    # What to publish is what is then found.
    name, _, text = missing.fix.removeprefix("publish TXT ").partition(" ")
    mended = f'{name}. TXT {text[:201]}" "{text[201:]}\n'
    assert found(zone + mended, dkim=dkim)["dkim"].health == "ok"
    for spoilt, said in (
        (whole.replace("MIIB", "MIIC"), "another key"),
        (f'{name}. TXT "v=DKIM1; k=rsa; p="\n', "revoked"),
        (whole.replace("k=rsa", "k=ed25519"), "another key"),
    ):
        one = found(zone + spoilt, dkim=dkim)["dkim"]
        assert (one.health, said in one.said) == ("fault", True), one.said
    testing = found(zone + whole.replace("v=DKIM1;", "v=DKIM1; t=y;"), dkim=dkim)["dkim"]
    assert (testing.health, "test" in testing.said) == ("warning", True)


@pytest.mark.parametrize(
    ("dmarc", "bounces", "health"),
    [
        ("p=reject", "b@elsewhere.test", "ok"),
        ("p=reject; adkim=s", "b@elsewhere.test", "fault"),
        ("p=none; adkim=s", "b@elsewhere.test", "warning"),
        ("p=reject; adkim=s", "b@lab.test", "ok"),
        ("p=reject; adkim=s; aspf=s", "b@lab.test", "fault"),
        ("p=reject; adkim=s; aspf=s", "b@papers.lab.test", "ok"),
    ],
)
def test_dmarc_needs_one_of_spf_and_dkim_to_be_of_the_senders_domain(
    dmarc: str, bounces: str, health: str
) -> None:
    zone = f'_dmarc.lab.test. TXT "v=DMARC1; {dmarc}"\n'
    mail = {**SENDER, "bounce_address": bounces}
    assert found(zone, mail=mail, dkim={"domain": "news.lab.test"})["dmarc"].health == health


def test_a_server_that_fails_is_no_missing_record() -> None:
    with pytest.raises(ServiceUnreachable, match=r"did not answer for broken\.test"):
        found("", mail={"from_address": "a@broken.test"})


def test_nothing_is_looked_up_while_mail_stays_here_or_for_examples() -> None:
    here, example = (
        Settings(),
        Settings.model_validate(
            {"smtp": {"host": "127.0.0.1"}, "mail": {"from_address": "a@digest.example.org"}}
        ),
    )
    assert list(check_dns(here, Signer(here.dkim, "x.test"))) == []
    (one,) = check_dns(example, Signer(example.dkim, "digest.example.org"))
    assert (one.health, "is an example" in one.said) == ("ok", True)


def test_records_to_publish_are_tried_from_a_zone_file(tmp_path: Path) -> None:
    file = tmp_path / "zone"
    file.write_text("; to be published\n" + MX + SPF + DMARC)
    settings = Settings.model_validate({"mail": SENDER})
    signer = Signer(settings.dkim, "papers.lab.test")
    assert {one.health for one in check_dns(settings, signer, FileRecords(file))} == {"ok"}
    file.write_text("papers.lab.test TXT")
    with pytest.raises(BadInput, match="is no zone file"):
        FileRecords(file)
    with pytest.raises(BadInput, match="cannot read"):
        FileRecords(tmp_path / "none")
