import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.settings import without_password


@given(st.text(min_size=1).filter(lambda text: not set(text) & set("/?#&")))
def test_no_password_is_shown_whatever_is_in_it(password: str) -> None:
    assert without_password(f"postgresql://u:{password}@h/d") == "postgresql://u:***@h/d"
    assert without_password(f"postgresql:///d?password={password}") == (
        "postgresql:///d?password=***"
    )


@pytest.mark.parametrize("name", ["api_key", "key", "apikey", "access_token", "sslpassword"])
def test_no_key_in_an_address_is_shown(name: str) -> None:
    shown = without_password(f"https://api.example.org/feed?q=a&{name}=hunter2&n=3")
    assert shown == f"https://api.example.org/feed?q=a&{name}=***&n=3"


@pytest.mark.parametrize(
    "url", ["sqlite:////a@b/c:d.db", "postgresql://u@h:5432/d", "hi: a@b", "http://a/?keywords=b"]
)
def test_what_holds_no_password_is_shown_whole(url: str) -> None:
    assert without_password(url) == url
