"""One question to a language model, by the chat API that OpenAI's servers and most others speak."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from digest import __version__
from digest.errors import BadInput, ServiceUnreachable
from digest.settings import SummarySettings

# A summary has 400; some models think aloud before, in a field of their own.
MAX_BYTES = 500_000
# Of the request itself, not of us: another may be answered.
_OF_THE_QUESTION = (400, 413, 422)


@asynccontextmanager
async def connected(settings: SummarySettings) -> AsyncIterator[httpx2.AsyncClient]:
    """A client for several questions. Where it leads is the operator's choice, also inside."""
    headers = {"User-Agent": f"Digest/{__version__}", "Accept-Encoding": "identity"}
    if settings.key is not None:
        headers["Authorization"] = f"Bearer {settings.key.get_secret_value()}"
    async with httpx2.AsyncClient(
        headers=headers, timeout=settings.timeout, trust_env=False
    ) as client:
        yield client


async def ask(client: httpx2.AsyncClient, settings: SummarySettings, question: str) -> str:
    """The model's answer, as it gave it, within `settings.timeout` seconds in all.

    Raises ServiceUnreachable, or BadInput where the server would not take this question. Neither
    holds the key or what the server said beyond its status.
    """
    # No temperature and no limit of tokens: some models take neither.
    asked = {
        "model": settings.model,
        "messages": [{"role": "user", "content": question}],
        "stream": False,
    }
    url = f"{settings.url}/chat/completions"
    try:
        async with (
            asyncio.timeout(settings.timeout),
            client.stream("POST", url, json=asked) as response,
        ):
            if response.status_code in _OF_THE_QUESTION:
                raise BadInput(f"answered {response.status_code}")
            if response.status_code != httpx2.codes.OK:
                raise ServiceUnreachable(f"{settings.url} answered {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ServiceUnreachable(f"{settings.url} sent more than {MAX_BYTES:,} bytes")
    except (TimeoutError, httpx2.TimeoutException):
        said = f"{settings.url} took longer than {settings.timeout:g} s"
        raise ServiceUnreachable(said) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ServiceUnreachable(f"{settings.url}: {str(error) or type(error).__name__}") from None
    return _content(bytes(body), settings)


def _content(body: bytes, settings: SummarySettings) -> str:
    try:
        answer: Any = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        answer = None
    if not isinstance(answer, str):
        raise ServiceUnreachable(f"{settings.url} answered, but with no chat completion")
    return answer
