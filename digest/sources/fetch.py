"""The one guarded way out: https and http, to public addresses alone, small and soon over."""

import socket
from collections.abc import Collection
from ipaddress import ip_address
from time import monotonic
from typing import Any

import httpcore2
import httpx2

from digest import __version__
from digest.errors import SourceUnreachable

MAX_BYTES = 10_000_000
MAX_SECONDS = 30.0
MAX_REDIRECTS = 5


class _PublicOnly(httpcore2.SyncBackend):
    """Connects to what a name resolves to at that instant, if every such address is public."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed

    def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host not in self._allowed:
            host = _public_address(host, port)
        return super().connect_tcp(host, port, *args, **kwargs)


def fetch(url: str, *, contact: str, allowed: Collection[str] = ()) -> bytes:
    """The body at `url`, decompressed, at most `MAX_BYTES`.

    `contact` is the operator's address, for the User-Agent. `allowed` names hosts of the operator's
    own that may have private addresses. Raises SourceUnreachable.
    """
    transport = httpx2.HTTPTransport(trust_env=False)
    # The library has no public place for its pool's backend, and only there is an address final.
    transport._pool = httpcore2.ConnectionPool(  # noqa: SLF001
        ssl_context=httpx2.create_ssl_context(trust_env=False), network_backend=_PublicOnly(allowed)
    )
    agent = f"Digest/{__version__} (paper digest; contact {contact})"
    client = httpx2.Client(
        transport=transport,
        headers={"User-Agent": agent},
        timeout=MAX_SECONDS,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        trust_env=False,
    )
    try:
        with client, client.stream("GET", url) as response:
            response.raise_for_status()
            return _body(response)
    except httpx2.HTTPStatusError as error:
        raise SourceUnreachable(f"{url} answered {error.response.status_code}") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise SourceUnreachable(f"{url}: {error or type(error).__name__}") from None


def _body(response: httpx2.Response) -> bytes:
    body, end = bytearray(), monotonic() + MAX_SECONDS
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_BYTES:
            raise SourceUnreachable(f"{response.url} sent more than {MAX_BYTES // 10**6} MB")
        if monotonic() > end:
            raise SourceUnreachable(f"{response.url} took longer than {MAX_SECONDS:.0f} s")
    return bytes(body)


def _public_address(host: str, port: int) -> str:
    try:
        found = [info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise SourceUnreachable(f"{host} cannot be resolved: {error}") from None
    for address in found:
        ip = ip_address(str(address).split("%")[0])
        mapped = getattr(ip, "ipv4_mapped", None)
        if not (mapped or ip).is_global or ip.is_multicast:
            raise SourceUnreachable(f"{host} is at {ip}, which is no public address")
    return str(found[0])
