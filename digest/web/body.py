"""A request's body, read whole before a thread is given to the request."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class WholeBody:
    """Puts the body into `request.state.body`, and refuses one of more than `longest` bytes.

    For a path of `longer` it is that many.

    A visitor who sends slowly so holds a connection, and none of the threads that doors run in.
    """

    def __init__(
        self, app: ASGIApp, *, longest: int, longer: Mapping[str, int], refusal: ASGIApp
    ) -> None:
        """Stand before `app`; `refusal` answers in its place."""
        self.app = app
        self.longest = longest
        self.longer = longer
        self.refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        longest = self.longer.get(scope["path"], self.longest)
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > longest:
                await self.refusal(scope, receive, send)
                return
        scope.setdefault("state", {})["body"] = bytes(body)
        await self.app(scope, receive, send)
