"""The one guarded way out: https and http, to public addresses alone, small and soon over.

What a name resolves to is checked where the connection is made, so no redirect, spelling or change
of mind of a name server leads elsewhere. When to ask, and how often, is for who calls.
"""

import re
import socket
import ssl
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import httpx2

from digest import __version__
from digest.errors import SourceUnreachable

MAX_BYTES = 10_000_000
MAX_SECONDS = 30.0
MAX_REDIRECTS = 5
# Seconds. When to ask a busy server again that does not say, and one that broke off.
RETRY_AFTER, RETRY_SOON = 10.0, 1.0
# Seconds between two requests to one site, whichever of its hosts, sources and formats they are of.
# arXiv asks all machines of one operator for three (its API's terms of use).
_PAUSES, _PAUSE = {"arxiv.org": 3.0}, 1.0

# A page of papers is one of these; a PDF, an image or an archive is not, whatever it is called.
_READABLE = re.compile(
    r"text/.+|binary/octet-stream|application/(?:.+\+(?:xml|json)|xml|.*json.*|octet-stream"
    r"|x-bibtex|x-research-info-systems|csv|x-unknown)",
    re.IGNORECASE,
)
# What may stand in a validator that we send back (RFC 9110, 8.8.3).
_MARK = re.compile(r"[!-~ ]{1,500}")

# IANA gives out addresses for the public from this block alone (RFC 4291, 2.4).
_GIVEN_OUT = IPv6Network("2000::/3")
# Not for the public though Python's lists, of whatever version, may let them pass: tunnels to a
# hidden IPv4 address (6to4, Teredo) and their relays, examples, and the one public address behind
# which a cloud keeps what its machines may know of themselves.
_NOT_PUBLIC: tuple[IPv4Network | IPv6Network, ...] = (
    IPv6Network("2001::/23"), IPv6Network("2002::/16"), IPv6Network("2001:db8::/32"),
    IPv6Network("3fff::/20"), IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"),
    IPv4Network("168.63.129.16/32"),
)  # fmt: skip
# A network that has IPv6 alone sees every IPv4 address behind this prefix (RFC 6052, 2.1).
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a server calls one state of a page: ask with it, and an unchanged page is not sent."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: `body` is None where the page is still in the state of the mark asked with."""

    body: bytes | None
    mark: Mark


def fetch(
    url: str,
    *,
    contact: str,
    allow: Collection[str] = (),
    mark: Mark | None = None,
    max_bytes: int = MAX_BYTES,
    token: str = "",
    max_seconds: float = MAX_SECONDS,
) -> Answer:
    """The body at `url`, decompressed, at most `max_bytes`, within `max_seconds` in all.

    `contact` is the operator's address, for the User-Agent. `allow` names hosts and networks of
    the operator's own that may have addresses which are not public; once a redirect has led out of
    them, none leads back in. `mark` is of the state that is known. Raises SourceUnreachable.
    """
    transport = httpx2.HTTPTransport(verify=_tls(), trust_env=False)
    # The library has no public place for its pool's backend, and only there is an address final.
    transport._pool = httpcore2.ConnectionPool(  # noqa: SLF001
        ssl_context=_tls(), network_backend=_Guard(allow, end=monotonic() + max_seconds)
    )
    client = httpx2.Client(
        transport=transport,
        headers={
            "User-Agent": f"Digest/{__version__} (paper digest; contact {contact})",
            # The library leaves it out where a redirect leads to another host.
            **({"Authorization": f"Bearer {token}"} if token else {}),
            "Accept-Encoding": "gzip",
            **_conditions(mark),
        },
        timeout=max_seconds,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        trust_env=False,
    )
    try:
        with client, client.stream("GET", url) as response:
            if mark and response.status_code == httpx2.codes.NOT_MODIFIED:
                return Answer(None, mark)
            response.raise_for_status()
            _check_type(response)
            return Answer(_body(response, max_bytes), _mark_of(response))
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        raise SourceUnreachable(
            f"{url} answered {status}", retry_after=_retry_after(error.response)
        ) from None
    except httpx2.TimeoutException:
        raise SourceUnreachable(f"{url} took longer than {max_seconds:.0f} s") from None
    except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        said = f"{url}: {str(error) or type(error).__name__}"
        raise SourceUnreachable(said, retry_after=RETRY_SOON) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise SourceUnreachable(f"{url}: {str(error) or type(error).__name__}") from None


def check_address(url: str, *, allow: Collection[str] = (), max_seconds: float = 10.0) -> None:
    """Ask where `url` leads now, without connecting. Raises SourceUnreachable if `fetch` would."""
    host = urlsplit(url).hostname or ""
    guard = _Guard(allow, end=monotonic() + max_seconds)
    try:
        guard.check(host, _resolved(host, 0, max_seconds))
    except httpcore2.ConnectTimeout:
        raise SourceUnreachable(f"{host} is not resolved within {max_seconds:.0f} s") from None


def site_of(url: str) -> tuple[str, float]:
    """Whose `url` is, for all of whose hosts one pace holds, and the seconds between two requests.

    Raises SourceUnreachable where it names nobody.
    """
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        host = ""
    if not host:
        raise SourceUnreachable(f"{url} names no host")
    for site, pause in _PAUSES.items():
        if host == site or host.endswith(f".{site}"):
            return site, pause
    return host, _PAUSE


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates of all authorities takes longer than a request."""
    return httpx2.create_ssl_context(trust_env=False)


# --- what is asked and answered ---------------------------------------------------------------


def _conditions(mark: Mark | None) -> dict[str, str]:
    said = {"If-None-Match": mark.etag, "If-Modified-Since": mark.last_modified} if mark else {}
    return {name: value for name, value in said.items() if value}


def _mark_of(response: httpx2.Response) -> Mark:
    said = (response.headers.get(name, "") for name in ("ETag", "Last-Modified"))
    return Mark(*(text if _MARK.fullmatch(text) else None for text in said))


def _check_type(response: httpx2.Response) -> None:
    said = response.headers.get("Content-Type", "").partition(";")[0].strip()
    if said and not _READABLE.fullmatch(said):
        raise SourceUnreachable(f"{response.url} sent {said[:80]}, which is no page of papers")


def _retry_after(response: httpx2.Response) -> float | None:
    """The seconds after which a server that is busy wants to be asked again (RFC 9110, 10.2.3)."""
    if response.status_code not in (429, 503):
        return None
    said = response.headers.get("Retry-After", "")
    if re.fullmatch(r"[0-9]{1,9}", said):
        return float(said)
    try:
        # Against the server's own clock, whatever ours says.
        at, now = (parsedate_to_datetime(h) for h in (said, response.headers.get("Date", "")))
        return max(0.0, (at - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return RETRY_AFTER


def _body(response: httpx2.Response, max_bytes: int) -> bytes:
    """The body; inflated here, since the library would first inflate all that a read brought."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise SourceUnreachable(f"{response.url} answered in {encoding}, not asked for")
    inflater = None if encoding == "identity" else zlib.decompressobj(wbits=31)
    body = bytearray()
    try:
        for chunk in response.iter_raw():
            left = chunk
            while left:
                # Gzip may come in several parts; what else is behind one is no part of it.
                if inflater and inflater.eof:
                    if not left.startswith(b"\x1f"):
                        break
                    inflater = zlib.decompressobj(wbits=31)
                room = max_bytes + 1 - len(body)
                body += inflater.decompress(left, room) if inflater else left
                if len(body) > max_bytes:
                    raise SourceUnreachable(f"{response.url} sent more than {max_bytes:,} bytes")
                left = inflater.unused_data if inflater else b""
    except zlib.error:
        raise SourceUnreachable(f"{response.url} sent broken gzip") from None
    if inflater and not inflater.eof:
        raise SourceUnreachable(f"{response.url} broke off", retry_after=RETRY_SOON)
    return bytes(body)


# --- where it may lead ------------------------------------------------------------------------


class _Guard(httpcore2.SyncBackend):
    """Connects to what a name resolves to at that instant, if every such address is public.

    Or if the host is allowed as it is called: a name in the list, or an address that is written as
    one and in a network of it. So no name of others can resolve to what is allowed, and once a
    connection has been made outside, no page leads inside.
    """

    def __init__(self, allow: Collection[str], end: float) -> None:
        self._allow = allow
        self._outside = False
        self._end = end

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - what is left of the whole counts
        *args: Any,
        **kwargs: Any,
    ) -> httpcore2.NetworkStream:
        """Try the addresses in the order in which the system prefers them."""
        addresses = _resolved(host, port, self._left())
        self.check(host, addresses)
        for address in addresses:
            try:
                stream = super().connect_tcp(address, port, self._left(), *args, **kwargs)
            except httpcore2.ConnectError:
                if address == addresses[-1]:
                    raise
            else:
                return _Timed(stream, self._end)
        raise SourceUnreachable(f"{host} has no address")

    def check(self, host: str, addresses: list[str]) -> None:
        """Raise SourceUnreachable where a connection to one of these may not be."""
        if (inside := _is_allowed(host, self._allow)) and not self._outside:
            return
        for address in addresses:
            ip = ip_address(address.partition("%")[0])
            if not is_public(ip):
                why = "a page outside led there" if inside else "and not in [fetch] allow"
                raise SourceUnreachable(f"{host} is at {ip}, which is no public address, {why}")
        self._outside = True

    def _left(self) -> float:
        if (left := self._end - monotonic()) <= 0:
            raise httpcore2.ConnectTimeout
        return left


def _is_allowed(host: str, allow: Collection[str]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host.rstrip(".").lower() in allow
    return any(address in network for place in allow if (network := _network(place)))


def _network(place: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(place)
    except ValueError:
        return None


def _resolved(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a name; the system's resolver may take minutes, so it is left behind."""
    said: SimpleQueue[list[Any] | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            said.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, ValueError) as error:
            said.put(error)

    Thread(target=ask, daemon=True).start()
    try:
        found = said.get(timeout=seconds)
    except Empty:
        raise httpcore2.ConnectTimeout from None
    if isinstance(found, Exception):
        soon = isinstance(found, socket.gaierror) and found.errno == socket.EAI_AGAIN
        raise SourceUnreachable(
            f"{host} cannot be resolved: {found}", retry_after=RETRY_SOON if soon else None
        )
    return [str(info[4][0]) for info in found]


def is_public(ip: IPv4Address | IPv6Address) -> bool:
    """Whether anybody on the Internet may have this address, and it hides no other.

    After the IANA registries of special-purpose addresses (RFC 6890).
    """
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped or ip in _NAT64:
            return is_public(IPv4Address(ip.packed[-4:]))
        if ip not in _GIVEN_OUT:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in net for net in _NOT_PUBLIC)


class _Timed(httpcore2.NetworkStream):
    """A stream that ends at an instant, however slowly the other side keeps it alive."""

    def __init__(self, stream: httpcore2.NetworkStream, end: float) -> None:
        self._stream = stream
        self._end = end

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, self._left()), self._end)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self) -> float:
        if (left := self._end - monotonic()) <= 0:
            raise httpcore2.ReadTimeout
        return left
