"""The one guarded way out: https and http, to public addresses alone, small and soon over."""

import re
import socket
import ssl
import zlib
from collections.abc import Collection
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from time import monotonic
from typing import Any

import httpcore2
import httpx2

from digest import __version__
from digest.errors import SourceUnreachable

MAX_BYTES = 10_000_000
MAX_SECONDS = 30.0
MAX_REDIRECTS = 5
# When to ask a busy server again that does not say.
RETRY_AFTER = 10.0

# Addresses that lead through a tunnel or translator to the IPv4 address hidden in them.
_HIDING = (IPv6Network("2002::/16"), IPv6Network("2001::/32"), IPv6Network("64:ff9b::/96"))


def fetch(
    url: str,
    *,
    contact: str,
    allowed: Collection[str] = (),
    max_bytes: int = MAX_BYTES,
    max_seconds: float = MAX_SECONDS,
) -> bytes:
    """The body at `url`, decompressed, at most `max_bytes`, within `max_seconds` of connecting.

    `contact` is the operator's address, for the User-Agent. `allowed` names hosts of the operator's
    own that may have private addresses. Raises SourceUnreachable.
    """
    transport = httpx2.HTTPTransport(trust_env=False)
    # The library has no public place for its pool's backend, and only there is an address final.
    transport._pool = httpcore2.ConnectionPool(  # noqa: SLF001
        ssl_context=httpx2.create_ssl_context(trust_env=False),
        network_backend=_PublicOnly(allowed, end=monotonic() + max_seconds),
    )
    client = httpx2.Client(
        transport=transport,
        headers={
            "User-Agent": f"Digest/{__version__} (paper digest; contact {contact})",
            "Accept-Encoding": "gzip",
        },
        timeout=max_seconds,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        trust_env=False,
    )
    try:
        with client, client.stream("GET", url) as response:
            response.raise_for_status()
            return _body(response, max_bytes)
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        raise SourceUnreachable(
            f"{url} answered {status}", retry_after=_retry_after(error.response)
        ) from None
    except httpx2.TimeoutException:
        raise SourceUnreachable(f"{url} took longer than {max_seconds:.0f} s") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise SourceUnreachable(f"{url}: {str(error) or type(error).__name__}") from None


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
            body += inflater.decompress(chunk, max_bytes + 1 - len(body)) if inflater else chunk
            if len(body) > max_bytes:
                raise SourceUnreachable(f"{response.url} sent more than {max_bytes:,} bytes")
    except zlib.error:
        raise SourceUnreachable(f"{response.url} sent broken gzip") from None
    if inflater and not inflater.eof:
        raise SourceUnreachable(f"{response.url} broke off")
    return bytes(body)


class _PublicOnly(httpcore2.SyncBackend):
    """Connects to what a name resolves to at that instant, if every such address is public."""

    def __init__(self, allowed: Collection[str], end: float) -> None:
        self._allowed = allowed
        self._end = end

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any
    ) -> httpcore2.NetworkStream:
        """Try the addresses in the order in which the system prefers them."""
        addresses = [host] if host in self._allowed else _public_addresses(host, port)
        for address in addresses:
            try:
                stream = super().connect_tcp(address, port, timeout, *args, **kwargs)
            except httpcore2.ConnectError:
                if address == addresses[-1]:
                    raise
            else:
                return _Timed(stream, self._end)
        raise SourceUnreachable(f"{host} has no address")


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


def _public_addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceUnreachable(f"{host} cannot be resolved: {error}") from None
    addresses = [str(info[4][0]) for info in found]
    for address in addresses:
        ip = ip_address(address.split("%")[0])
        if not _is_public(ip):
            raise SourceUnreachable(f"{host} is at {ip}, which is no public address")
    return addresses


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped:
            return _is_public(ip.ipv4_mapped)
        if any(ip in network for network in _HIDING):
            return False
    return ip.is_global and not ip.is_multicast
