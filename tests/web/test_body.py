import asyncio

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digest.web.body import WholeBody


def answering(name: str, said: list[str]) -> ASGIApp:
    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        said.append(f"{name} {len(scope['state']['body'])}")

    return app


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([b"ab", b"cd"], ["page 4"]),
        ([b"ab" * 4, b"cd"], ["too long 8"]),
        ([b"ab", None], ["too slow 0"]),
    ],
)
def test_a_body_is_waited_for_so_long_and_taken_up_to_so_much(
    parts: list[bytes | None], said: list[str]
) -> None:
    heard: list[str] = []
    left = list(parts)

    async def receive() -> Message:
        part = left.pop(0)
        if part is None:
            await asyncio.Event().wait()  # for ever
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(_message: Message) -> None:
        raise AssertionError

    before = WholeBody(
        answering("page", heard),
        longest=5,
        longer={},
        refusal=answering("too long", heard),
        seconds=0.05,
        too_slow=answering("too slow", heard),
    )
    asyncio.run(before({"type": "http", "path": "/"}, receive, send))
    assert heard == said
