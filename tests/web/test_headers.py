"""Which origins a browser may call from."""

import pytest

from app.web.headers import is_allowed_origin

ALLOWED = frozenset({"https://www.example.com", "https://shop.example.com:8443"})


@pytest.mark.parametrize(
    "origin",
    [
        "https://www.example.com",
        "https://shop.example.com:8443",
        "http://localhost",
        "http://localhost:3000",
        "https://localhost:8443",
        "http://127.0.0.1:5500",
    ],
)
def test_listed_and_local_origins_are_allowed(origin: str) -> None:
    assert is_allowed_origin(origin, ALLOWED)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://www.example.com",
        "https://www.example.com.evil.example",
        "https://evil-www.example.com",
        "https://www.example.com:443",
        "https://www.example.com/",
        "https://shop.example.com",
        "https://WWW.example.com",
        "http://localhost.evil.example",
        "http://localhost.evil.example:3000",
        "http://evil.example#localhost",
        "http://localhost@evil.example",
        "http://user@localhost",
        "http://localhost:3000/path",
        "http://localhost:99999",
        "http://localhost:port",
        "http://LOCALHOST:3000",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.10",
        "http://[::ffff:127.0.0.1]",
        "file://localhost",
        "http://[bad",
    ],
)
def test_look_alikes_are_not_allowed(origin: str) -> None:
    assert not is_allowed_origin(origin, ALLOWED)
