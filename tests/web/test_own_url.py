"""Where the service is for browsers: PUBLIC_URL, a trusted proxy's headers, `Host`; and who is not believed."""

from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request, url_for

from app.settings import GuardSettings, Settings
from app.web import own_url

PROXY = "10.0.0.9"
STRANGER = "198.51.100.7"


def address(*, peer: str = PROXY, path: str = "/forms/x", public_url: str | None = None, **headers: str) -> Any:
    """What a request is told of the service; `headers` with `_` for `-`. The proxies are 10.0.0.0/8."""
    settings = Settings(
        public_url=public_url, guards=GuardSettings(trusted_proxies=(ip_network("10.0.0.0/8"),)), host="127.0.0.1"
    )
    app = Flask(__name__, static_folder=None)

    def view(key: str) -> Response:
        return jsonify(
            url=own_url.own_url(settings),
            path=url_for(request.endpoint or "", key=key),
            origins=sorted(own_url.own_origins(settings)),
            page=own_url.page_origin(settings),
            secure=request.is_secure,
        )

    for surface in ("forms", "api"):
        app.add_url_rule(f"/{surface}/<key>", surface, view)
    own_url.register(app, settings)
    sent = {"Host": "127.0.0.1:8000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = app.test_client().get(path, headers=sent, environ_overrides={"REMOTE_ADDR": peer})
    return answer.json if answer.status_code == 200 else answer.status_code


PUBLIC = "https://mail.example.com/letterbox"


@pytest.mark.parametrize("path", ["/forms/x", "/letterbox/forms/x"])
@pytest.mark.parametrize("peer", [PROXY, STRANGER])
def test_the_public_url_decides_whatever_a_client_or_a_proxy_says(path: str, peer: str) -> None:
    told = address(
        path=path,
        peer=peer,
        public_url=PUBLIC,
        Host="evil.example",
        X_Forwarded_Host="evil.example",
        Origin="https://evil.example",
    )
    assert told["url"] == PUBLIC
    assert told["path"] == "/letterbox/forms/x"
    assert told["secure"] is True
    assert told["origins"] == ["https://mail.example.com"]
    assert told["page"] == "https://mail.example.com"


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"X_Forwarded_Host": "mail.example.com"}, "http://mail.example.com"),
        ({"X_Forwarded_Host": "Mail.Example.com:8443", "X_Forwarded_Proto": "HTTPS"}, "https://mail.example.com:8443"),
        ({"X_Forwarded_Host": "mail.example.com:443", "X_Forwarded_Proto": "https"}, "https://mail.example.com"),
        ({"X_Forwarded_Host": "evil.example, mail.example.com"}, "http://mail.example.com"),
        ({"X_Forwarded_Host": "[2001:db8::1]:8080"}, "http://[2001:db8::1]:8080"),
        ({"X_Forwarded_Proto": "https"}, "https://127.0.0.1:8000"),
        ({"X_Forwarded_Proto": "ftp"}, "http://127.0.0.1:8000"),
        ({"X_Forwarded_Host": "a b"}, "http://127.0.0.1:8000"),
        ({"X_Forwarded_Host": 'a"><script>'}, "http://127.0.0.1:8000"),
        ({"X_Forwarded_Host": "h" * 3000}, "http://127.0.0.1:8000"),
        ({"Forwarded": "for=192.0.2.60;proto=https;host=mail.example.com"}, "https://mail.example.com"),
        (
            {"Forwarded": 'For="[2001:db8:cafe::17]:4711"; Proto=HTTPS; Host="mail.example.com:8443"'},
            "https://mail.example.com:8443",
        ),
        ({"Forwarded": "host=evil.example, for=192.0.2.60;host=mail.example.com"}, "http://mail.example.com"),
        # 10.0.0.8 is another one of our proxies, so what it heard is what the browser asked for.
        (
            {"Forwarded": "for=1.2.3.4;host=mail.example.com;proto=https, for=10.0.0.8;host=inside"},
            "https://mail.example.com",
        ),
        ({"Forwarded": 'host="mail.example.com'}, "http://127.0.0.1:8000"),
        ({"Forwarded": "mail.example.com"}, "http://127.0.0.1:8000"),
        ({"Forwarded": "host=" + "h" * 3000}, "http://127.0.0.1:8000"),
        # Most proxies write one of the two and hand the other one on.
        ({"Forwarded": "host=evil.example", "X_Forwarded_Host": "mail.example.com"}, "http://127.0.0.1:8000"),
        ({"Forwarded": "host=mail.example.com", "X_Forwarded_Host": "mail.example.com"}, "http://mail.example.com"),
        ({"X_Forwarded_Host": "mail.example.com", "X_Forwarded_Prefix": "/box/"}, "http://mail.example.com/box"),
        ({"X_Forwarded_Prefix": "//evil.example"}, "http://127.0.0.1:8000"),
        ({"X_Forwarded_Prefix": "/a/../b"}, "http://127.0.0.1:8000"),
        ({"X_Forwarded_Prefix": "/a'b"}, "http://127.0.0.1:8000"),
        ({"X_Forwarded_Prefix": "box"}, "http://127.0.0.1:8000"),
    ],
)
def test_a_trusted_proxy_says_where_the_service_is_and_nobody_else(headers: dict[str, str], url: str) -> None:
    assert address(**headers)["url"] == url
    told = address(peer=STRANGER, **headers)
    assert (told["url"], told["path"], told["secure"]) == ("http://127.0.0.1:8000", "/forms/x", False)


@pytest.mark.parametrize(
    ("prefix", "path", "found"),
    [
        ("/forms", "/forms/x", "/forms/forms/x"),
        ("/forms", "/forms/forms/x", "/forms/forms/x"),
        ("/api", "/api/api/x", "/api/api/x"),
        ("/api", "/api/x", "/api/api/x"),
        ("/box", "/boxes/forms/x", 404),
        ("/box", "/box/box/forms/x", 404),
        ("/a/b", "/a/b/forms/x", "/a/b/forms/x"),
    ],
)
def test_a_prefix_is_taken_off_where_the_proxy_has_left_it(prefix: str, path: str, found: str | int) -> None:
    told = address(path=path, public_url=f"https://mail.example.com{prefix}")
    assert (told if isinstance(told, int) else told["path"]) == found


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        ({"Origin": "https://127.0.0.1:8000"}, "https://127.0.0.1:8000"),
        ({"Referer": "https://127.0.0.1:8000/forms/x"}, "https://127.0.0.1:8000"),
        ({"Origin": "https://mail.example.com"}, "http://127.0.0.1:8000"),
        ({"Origin": "https://mail.example.com", "Sec_Fetch_Site": "cross-site"}, "http://127.0.0.1:8000"),
        ({"Origin": "https://mail.example.com", "Sec_Fetch_Site": "same-site"}, "http://127.0.0.1:8000"),
        ({"Origin": "https://mail.example.com", "Sec_Fetch_Site": "same-origin"}, "https://mail.example.com"),
        ({"Origin": "null", "Sec_Fetch_Site": "same-origin"}, "http://127.0.0.1:8000"),
        ({"Origin": "https://a@b", "Sec_Fetch_Site": "same-origin"}, "http://127.0.0.1:8000"),
    ],
)
def test_a_browser_is_believed_that_its_page_is_ours_where_a_page_cannot_say_so(
    headers: dict[str, str], page: str
) -> None:
    assert address(peer=STRANGER, **headers)["page"] == page


@pytest.mark.parametrize(("environment", "counts"), [("development", True), ("production", False)])
def test_this_machine_is_an_own_origin_beside_the_public_url_in_development_alone(
    environment: str, counts: bool
) -> None:
    settings = Settings(public_url=PUBLIC, environment=environment)
    app = Flask(__name__, static_folder=None)
    app.add_url_rule("/", view_func=lambda: jsonify(sorted(own_url.own_origins(settings))))
    own_url.register(app, settings)
    found = app.test_client().get("/", headers={"Host": "localhost:8000"}).json
    assert found == (["http://localhost:8000"] if counts else []) + ["https://mail.example.com"]


def test_without_a_setting_nothing_stands_before_the_application() -> None:
    app = Flask(__name__, static_folder=None)
    before = app.wsgi_app
    own_url.register(app, Settings())
    assert app.wsgi_app == before
