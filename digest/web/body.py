"""A request's body, read whole before a thread is given to the request."""

import asyncio
from collections.abc import Mapping
from re import Pattern

from starlette.types import ASGIApp, Receive, Scope, Send


class WholeBody:
    """Puts the body into `request.state.body`, and refuses one of more than `longest` bytes.

    For a path that one of `longer` matches it is that many. One that takes longer than `seconds` is
    refused as well.

    A visitor who sends slowly so holds a connection, and none of the threads that doors run in.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        longest: int,
        longer: Mapping[Pattern[str], int],
        refusal: ASGIApp,
        seconds: float,
        too_slow: ASGIApp,
    ) -> None:
        """Stand before `app`; `refusal` and `too_slow` answer in its place."""
        self.app = app
        self.longest = longest
        self.longer = longer
        self.refusal = refusal
        self.seconds = seconds
        self.too_slow = too_slow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        longest = next((n for one, n in self.longer.items() if one.match(path)), self.longest)
        answer = self.app
        try:
            async with asyncio.timeout(self.seconds):
                body = await _read(receive, longest)
        except TimeoutError:
            answer, body = self.too_slow, b""
        if body is None:
            return
        if len(body) > longest:
            answer = self.refusal
        scope.setdefault("state", {})["body"] = body
        await answer(scope, receive, send)


async def _read(receive: Receive, longest: int) -> bytes | None:
    """The body, or as much of it as is too much; None where the visitor hung up."""
    body, more = bytearray(), True
    while more and len(body) <= longest:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)
