"""A visitor corrects a typo on our page, with nginx in front of the service as people configure it."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.browser.browser import Browser, Page
from tests.browser.served import Served, Website, served_service, website
from tests.nginx import free_port, nginx

TO = "proxy_pass http://127.0.0.1:{service}"
LEAVES_HOST = f"location / {{ {TO}; }}"
STRIPS = f"location /mail/ {{ {TO}/; }}"
KEEPS = f"location /mail/ {{ {TO}; }}"
NAMED = "location / { proxy_pass http://letterbox_upstream; }"
SAYS_HOST = (
    f"location / {{ {TO}; proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto http; }}"
)
SAYS_FORWARDED = f"location / {{ {TO}; proxy_set_header Forwarded 'for=$remote_addr;host=\"$http_host\";proto=http'; }}"
SAYS_PREFIX = (
    f"location /mail/ {{ {TO}/; proxy_set_header X-Forwarded-Host $http_host;"
    " proxy_set_header X-Forwarded-Prefix /mail; }"
)
VERSION_TEST = (
    "[...document.querySelectorAll('.opblock')].find(block => block.textContent.includes('/api/v1/versiontest'))"
)
TRY_OUT = "document.querySelector('.try-out__btn')"
EXECUTE = "document.querySelector('.execute')"
STATUS = "document.querySelector('.live-responses-table tbody .response-col_status')?.innerText"
TRUSTED = {"trusted_proxies": (ip_network("127.0.0.1"),)}


@pytest.mark.parametrize(
    ("public_path", "guards", "layouts"),
    [
        ("", {}, [LEAVES_HOST]),
        ("", TRUSTED, [NAMED]),
        ("/mail", {}, [STRIPS, KEEPS]),
        (None, TRUSTED, [SAYS_HOST, SAYS_FORWARDED, SAYS_PREFIX]),
    ],
    ids=["PUBLIC_URL", "PUBLIC_URL and a named upstream", "PUBLIC_URL with a path", "headers of a trusted proxy"],
)
def test_a_typo_is_corrected_on_our_page_behind_nginx(
    browser: Browser, tmp_path: Path, public_path: str | None, guards: dict[str, Any], layouts: list[str]
) -> None:
    for layout in layouts:
        port = free_port()
        public_url = None if public_path is None else f"http://mail.example:{port}{public_path}"
        directory = tmp_path / str(port)
        directory.mkdir()
        with (
            website() as site,
            served_service(
                directory,
                public_url=public_url,
                cors_origins=(site.origin("shop.example"),),
                guards={"cooldown_enabled": False} | guards,
            ) as served,
            proxied(directory, served, port, layout),
        ):
            root = f"http://mail.example:{port}{'/mail' if '/mail' in layout else ''}"
            with browser.page() as page:
                correct_a_typo(page, site, root)
                assert "Thank you" in page.text(), layout
                assert page.evaluate("document.querySelector('main a').href") == f"{site.origin('shop.example')}/"
                assert page.url == f"{root}/forms/default"
                (refused,) = page.problems
                assert refused.endswith(f"400 (BAD REQUEST) {root}/forms/default")
                if layout is layouts[-1]:
                    everything_of_ours_works(page, served, root)


def proxied(directory: Path, served: Served, port: int, layout: str) -> Any:
    service = served.url.rpartition(":")[2]
    upstream = f"upstream letterbox_upstream {{ server 127.0.0.1:{service}; }}"
    return nginx(directory / "nginx", {port: layout.replace("{service}", service)}, http=upstream)


def correct_a_typo(page: Page, site: Website, root: str) -> None:
    site.pages["contact"] = (
        f"<form method=post action='{root}/forms/default'><input name=email><textarea name=message></textarea>"
        "<button>Send</button></form>"
    )
    page.open(f"{site.origin('shop.example')}/contact")
    page.type("[name=email]", "visitor@")
    page.type("[name=message]", f"Please call me. {uuid4()}")
    page.click("button", navigates=True)
    assert "Please enter a valid email address." in page.text()
    assert page.evaluate("getComputedStyle(document.querySelector('.send')).borderRadius") == "99px"
    page.evaluate("document.querySelector('[name=email]').value = ''")
    page.type("[name=email]", f"visitor-{uuid4().hex[:8]}@example.com")
    page.click("button", navigates=True)


def everything_of_ours_works(page: Page, served: Served, root: str) -> None:
    """The demo, the inbox, the reference and the ready code."""
    assert served.arrived().summary.reply_to.startswith("visitor-")
    page.open(f"{root}/demo")
    page.type("[name=email]", f"visitor-{uuid4().hex[:8]}@example.com")
    page.type("[name=message]", f"From the demo. {uuid4()}")
    page.click("#form button")
    page.wait_for("document.getElementById('state').textContent === 'It has arrived.'")
    page.open(f"{root}/forms/default/snippet")
    assert f'action="{root}/forms/default"' in page.text("#plain")
    page.open(f"{root}/docs")
    page.wait_for(f"{VERSION_TEST} !== undefined")
    for button in (f"{VERSION_TEST}.querySelector('.opblock-summary-control')", TRY_OUT, EXECUTE):
        page.wait_for(f"({button} ?? null) !== null")
        page.evaluate(f"{button}.click()")
    assert page.wait_for(STATUS) == "200"
    page.open(f"{root}/inbox")
    page.click(".list a", navigates=True)
    page.click("form button", navigates=True)
    assert page.url == f"{root}/inbox"
    assert len(served.inbox.ids()) == 1
    assert len(page.problems) == 1
