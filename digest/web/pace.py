"""What costs a lot is had a few times a minute, by one network from one process.

It holds down the cost of one process, so it is kept in its memory: what must hold for all
processes together is in `digest.subscribers.throttle`.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from starlette.exceptions import HTTPException
from starlette.requests import Request

from digest.subscribers.throttle import network_of

_MOST_NETWORKS = 10_000


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `burst` at once, and one more each `every`, for each network.

    What costs as much as `n` has to wait for one, and the next for all of them.
    """

    every: timedelta
    burst: int
    _until: OrderedDict[str, datetime] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def allows(self, request: Request, now: datetime, n: int = 1) -> bool:
        """Whether the visitor's network has one left, and then uses it up."""
        network = network_of(host_of(request))
        with self._lock:
            until = max(self._until.pop(network, now), now)
            allowed = until <= now + self.every * (self.burst - 1)
            self._until[network] = until + self.every * n * allowed
            while len(self._until) > _MOST_NETWORKS:
                self._until.popitem(last=False)
        return allowed

    def require(self, request: Request, now: datetime) -> None:
        """Raises HTTPException 429 where the visitor's network has none left."""
        if not self.allows(request, now):
            seconds = max(1, round(self.every.total_seconds()))
            raise HTTPException(429, headers={"Retry-After": str(seconds)})


def host_of(request: Request) -> str:
    """The visitor's address, as far as the connection, or a proxy that is trusted, tells."""
    return request.client.host if request.client else ""
