"""What receivers look up in the DNS before they take our mail, and to send it back.

Bulk mail without SPF, DKIM and DMARC is refused or filed as spam by the large mailbox providers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import dns.exception
import dns.rdatatype
import dns.resolver
import dns.zone

from digest.engine.findings import Finding
from digest.errors import BadInput, ServiceUnreachable
from digest.mail.dkim import Signer
from digest.settings import Settings

# RFC 7208, 4.6.4: terms that ask the DNS; with more, receivers give up.
_MOST_LOOKUPS = 10
_ASKING = ("include", "a", "mx", "ptr", "exists", "redirect")
_SECONDS = 5.0
# RFC 2606: nobody's, so that nothing about them is published.
_RESERVED = ("example", "test", "invalid", "localhost", "localdomain", "example.com", "example.net")


class Records(Protocol):
    """Where records come from."""

    def look_up(self, name: str, kind: str) -> list[str]:
        """The records of a name: the text of TXT, the host of MX, addresses. ServiceUnreachable."""
        ...


class LiveRecords:
    """The DNS as it answers now."""

    def __init__(self, resolver: dns.resolver.Resolver | None = None) -> None:
        """Ask `resolver`, else the one of this machine."""
        self._resolver = resolver

    def look_up(self, name: str, kind: str) -> list[str]:
        """Ask; no such name is no record."""
        try:
            resolver = self._resolver or dns.resolver.Resolver()
            found = resolver.resolve(name, kind, lifetime=_SECONDS, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError) as error:
            said = type(error).__name__ if not str(error) else str(error).partition("\n")[0]
            raise ServiceUnreachable(f"the DNS did not answer for {name}: {said}") from None
        return [_text(record) for record in found]


class FileRecords:
    """Records of a zone file, to try them out before they are published."""

    def __init__(self, file: Path) -> None:
        """Read `file`; names in it are whole, with or without the dot at their end."""
        try:
            text = file.read_text(encoding="utf-8")
            self._zone = dns.zone.from_text(
                f"$TTL 3600\n{text}", origin=".", relativize=False, check_origin=False
            )
        except OSError as error:
            raise BadInput(f"cannot read {file}: {error.strerror}") from None
        except (UnicodeDecodeError, dns.exception.DNSException) as error:
            # The line that we put before theirs does not count.
            raise BadInput(f"{file} is no zone file: {error}") from None

    def look_up(self, name: str, kind: str) -> list[str]:
        """The records that the file has."""
        found = self._zone.get_rdataset(f"{name.rstrip('.')}.", kind)
        return [_text(record) for record in found or ()]


def check_dns(
    settings: Settings, signer: Signer, records: Records | None = None
) -> Iterator[Finding]:
    """Look at the records of the sender's domains; None: live, for domains that can have any.

    Raises ServiceUnreachable where the DNS does not answer.
    """
    sender = settings.mail.from_address.rpartition("@")[2].lower()
    envelope = settings.mail.returns_to.rpartition("@")[2].lower()
    if records is None:
        if settings.smtp.host is None:
            return
        if is_example(sender):
            yield Finding("dns", "ok", f"{sender} is an example: nothing is looked up")
            return
    source = records or LiveRecords()
    yield _spf(envelope, source)
    yield from _dkim(signer, source)
    yield from _dmarc(sender, envelope, signer.domain, source)
    if not source.look_up(envelope, "MX") and not source.look_up(envelope, "A"):
        yield Finding(
            "bounces",
            "warning",
            f"{envelope} has no MX record: what comes back is lost",
            "publish one, or set mail.bounce_address to an address that takes mail",
        )


def is_example(domain: str) -> bool:
    """Whether a domain is reserved for examples and tests: nothing of it is published."""
    return any(f".{domain}".endswith(f".{name}") for name in (*_RESERVED, "example.org"))


def _text(record: object) -> str:
    strings = getattr(record, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("ascii", "replace")
    return str(getattr(record, "exchange", record)).rstrip(".")


def _spf(domain: str, records: Records) -> Finding:
    """RFC 7208: one record, at most ten lookups, and an end that says no to others."""

    def found(said: str, fix: str, *, wrong: bool = True) -> Finding:
        return Finding("spf", "fault" if wrong else "warning", f"{domain}: {said}", fix)

    texts = _spf_of(domain, records)
    example = f'publish TXT {domain} "v=spf1 include:<your relay\'s> -all"'
    if not texts:
        return found("no SPF record says who may send for it", example, wrong=False)
    if len(texts) > 1:
        return found(f"{len(texts)} SPF records, which is an error", "merge them into one")
    lookups = _lookups(texts[0], records, {domain})
    if lookups > _MOST_LOOKUPS:
        said = f"its SPF record asks the DNS {lookups} times; receivers give up after 10"
        return found(said, "leave out mechanisms that nothing is sent through")
    last = texts[0].split()[-1].lower()
    if last in ("+all", "all", "?all"):
        said = f"its SPF record ends with {last}: anybody may send for it"
        return found(said, "end it with -all or ~all", wrong=False)
    if last not in ("-all", "~all") and not last.startswith("redirect="):
        return found("its SPF record has no end", "end it with -all or ~all", wrong=False)
    return Finding("spf", "ok", f"{domain}: {texts[0]} ({lookups} lookups)")


def _spf_of(domain: str, records: Records) -> list[str]:
    texts = records.look_up(domain, "TXT")
    return [text for text in texts if text.lower().split(" ")[0] == "v=spf1"]


def _lookups(spf: str, records: Records, seen: set[str]) -> int:
    """How many terms of a record, and of those that it includes, ask the DNS."""
    n = 0
    for term in spf.lower().split()[1:]:
        bare = term.lstrip("+-~?")
        name, _, rest = bare.partition(":" if ":" in bare else "=")
        if name.split("/")[0] not in _ASKING:
            continue
        n += 1
        if name in ("include", "redirect") and rest not in seen and n <= _MOST_LOOKUPS:
            seen.add(rest)
            n += sum(_lookups(text, records, seen) for text in _spf_of(rest, records)[:1])
    return n


def _dkim(signer: Signer, records: Records) -> Iterator[Finding]:
    """RFC 6376, 3.6.1: what is published is the other half of our key."""
    ours = signer.dns_records()
    if not ours:
        yield Finding("dkim", "ok", "no key of ours: the relay signs, or nobody does")
    for name, text in ours:
        yield _one_key(name, text, records)


def _one_key(name: str, ours: str, records: Records) -> Finding:
    fix = f'publish TXT {name} "{ours}"'
    found = [tags for text in records.look_up(name, "TXT") if "p" in (tags := _tags(text))]
    if not found:
        return Finding("dkim", "fault", f"{name} is not there: nobody can check our mail", fix)
    tags, wanted = found[0], _tags(ours)
    if not tags["p"]:
        return Finding("dkim", "fault", f"{name} is revoked: its key is empty", fix)
    if (tags["p"], tags.get("k", "rsa")) != (wanted["p"], wanted["k"]):
        return Finding("dkim", "fault", f"{name} is of another key than ours", fix)
    if "y" in tags.get("t", "").split(":"):
        said = f"{name} says that it is only a test (t=y)"
        return Finding("dkim", "warning", said, "take t=y out of it")
    return Finding("dkim", "ok", f"{name} is of our key")


def _dmarc(sender: str, envelope: str, signed_by: str, records: Records) -> Iterator[Finding]:
    """RFC 7489; the record of the nearest domain above counts, as in its successor's tree walk."""
    found = _dmarc_of(sender, records)
    if found is None:
        yield Finding(
            "dmarc",
            "warning",
            f"{sender} has no DMARC record: large providers refuse bulk mail without one",
            f'publish TXT _dmarc.{sender} "v=DMARC1; p=none; rua=mailto:<an address>"',
        )
        return
    where, tags = found
    policy = tags.get("p", "none")
    aligned = [
        name
        for name, domain, strict in (("SPF", envelope, "aspf"), ("DKIM", signed_by, "adkim"))
        # Relaxed: under the same organisation's domain, which is where the record was found.
        if (domain == sender if tags.get(strict) == "s" else f".{domain}".endswith(f".{where}"))
    ]
    said = f"_dmarc.{where}: p={policy}, aligned: {' and '.join(aligned) or 'nothing'}"
    if aligned:
        yield Finding("dmarc", "ok", said)
    else:
        fix = f"set mail.bounce_address or dkim.domain to one under {where}"
        yield Finding("dmarc", "warning" if policy == "none" else "fault", said, fix)


def _dmarc_of(domain: str, records: Records) -> tuple[str, dict[str, str]] | None:
    labels = domain.split(".")
    for i in range(max(1, len(labels) - 1)):
        name = ".".join(labels[i:])
        for text in records.look_up(f"_dmarc.{name}", "TXT"):
            if text.replace(" ", "").lower().startswith("v=dmarc1"):
                return name, _tags(text)
    return None


def _tags(text: str) -> dict[str, str]:
    """The tags of a record, `p=...; t=...`; spaces mean nothing in them."""
    parts = (part.partition("=") for part in text.split(";") if "=" in part)
    return {name.strip().lower(): "".join(value.split()) for name, _, value in parts}
