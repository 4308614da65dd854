"""The real input data that lies beside a checkout in CI, and may be absent elsewhere."""

import os
from pathlib import Path

import pytest

_DATA = Path(__file__).parent.parent.parent / "shared" / "data"


def shared(*parts: str) -> Path:
    """A file or folder of the shared data; skip without it, fail where CI says it must be there."""
    found = _DATA.joinpath(*parts)
    if not found.exists():
        required = os.environ.get("DIGEST_REQUIRE_SHARED") == "1"
        (pytest.fail if required else pytest.skip)(f"needs ../shared/data/{'/'.join(parts)}")
    return found
