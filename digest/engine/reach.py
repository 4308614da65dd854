"""Whether the relay and our own pages can be reached as others reach them, with which limits."""

import http.client
import smtplib
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from digest.engine.dns import is_example
from digest.engine.findings import Finding
from digest.settings import Settings, SmtpSettings

SOON = timedelta(days=14)
CLOCK_MAY_DIFFER = timedelta(minutes=5)
# Eight papers with summaries are some 60 kB.
_LARGE_MAIL = 500_000
_SECONDS = 10.0


def check_relay(smtp: SmtpSettings, now: datetime) -> Iterator[Finding]:
    """Greet the relay: its certificate's end, and the largest mail that it takes.

    That it takes mail at all is checked by `Transport.check`; what cannot be had is left out.
    """
    if smtp.host is None:
        return
    tls = ssl.create_default_context()
    try:
        if smtp.security == "tls":
            relay: smtplib.SMTP = smtplib.SMTP_SSL(
                smtp.host, smtp.port, timeout=_SECONDS, context=tls
            )
        else:
            relay = smtplib.SMTP(smtp.host, smtp.port, timeout=_SECONDS)
        with relay:
            if smtp.security == "starttls":
                relay.starttls(context=tls)
            relay.ehlo()
            features, socket = dict(relay.esmtp_features), relay.sock
            if isinstance(socket, ssl.SSLSocket):
                yield from _certificate(f"{smtp.host}:{smtp.port}", socket, now)
    except (OSError, smtplib.SMTPException):
        return
    largest = int(features["size"]) if features.get("size", "").isdigit() else 0
    if largest and largest < _LARGE_MAIL:
        yield Finding(
            "relay",
            "warning",
            f"{smtp.host} takes mails of at most {largest // 1000} kB",
            "have its limit raised, or give subscribers fewer papers (defaults.length)",
        )
    else:
        size = f"mails up to {largest / 1e6:.0f} MB" if largest else "mails of any size"
        how = "without encryption" if smtp.security == "none" else f"by {smtp.security}"
        yield Finding("relay", "ok", f"{smtp.host} takes {size}, {how}")


def check_pages(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Open our own /healthz at `base_url`, as readers' browsers do."""
    url = urlsplit(settings.base_url)
    if settings.smtp.host is None or is_example(url.hostname or ""):
        return
    host, place = url.hostname or "", f"{settings.base_url}/healthz"
    if url.scheme == "http":
        connection = http.client.HTTPConnection(host, url.port, timeout=_SECONDS)
    else:
        connection = http.client.HTTPSConnection(
            host, url.port, timeout=_SECONDS, context=ssl.create_default_context()
        )
    try:
        connection.request("GET", f"{url.path}/healthz")
        if isinstance(connection.sock, ssl.SSLSocket):
            yield from _certificate(url.netloc, connection.sock, now)
        answer = connection.getresponse()
        status, date = answer.status, answer.headers.get("Date")
    except (OSError, http.client.HTTPException) as error:
        yield Finding(
            "pages",
            "warning",
            f"{place}: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}",
            "start digest serve, and see that your proxy leads there; from another machine, too",
        )
        return
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        fix = "see that base_url and your proxy lead to digest serve"
        yield Finding("pages", "warning", f"{place} answers {status}", fix)
        return
    yield Finding("pages", "ok", f"{place} answers")
    # Our own server tells its clock; where another machine answers, that is another clock.
    if date and abs(parsedate_to_datetime(date).astimezone(UTC) - now) > CLOCK_MAY_DIFFER:
        yield Finding(
            "clock",
            "fault",
            f"it is {now:%Y-%m-%d %H:%M} UTC here, and {date} where the pages are answered",
            "set both machines' clocks (timedatectl set-ntp true)",
        )


def _certificate(place: str, socket: ssl.SSLSocket, now: datetime) -> Iterator[Finding]:
    seen = socket.getpeercert() or {}
    if "notAfter" not in seen:
        return
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(seen["notAfter"])), UTC)
    if ends - now < SOON:
        fix = "renew it, and see why that did not happen by itself"
        yield Finding("tls", "warning", f"{place}: its certificate ends on {ends:%Y-%m-%d}", fix)
    else:
        yield Finding("tls", "ok", f"{place}: its certificate is good until {ends:%Y-%m-%d}")
