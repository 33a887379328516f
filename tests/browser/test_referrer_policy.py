"""Pages that do not say where they are, as a browser sends their forms: one click on our page, and nothing is lost."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.browser.browser import Browser
from tests.browser.served import Served, Website, served_service, website
from tests.nginx import free_port, nginx


@pytest.fixture(scope="module")
def site() -> Iterator[Website]:
    with website() as site:
        yield site


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, site: Website) -> Iterator[Served]:
    with served_service(
        tmp_path_factory.mktemp("service"),
        cors_origins=(site.origin("shop.example"),),
        guards={"cooldown_enabled": False},
    ) as served:
        yield served


@pytest.fixture(scope="module")
def root(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service behind nginx, of which nobody has told it anything."""
    port = free_port()
    with nginx(tmp_path_factory.mktemp("nginx"), {port: f"location / {{ proxy_pass {served.url}; }}"}):
        yield f"http://mail.example:{port}"


def contact(site: Website, root: str, *, policy: str = "", head: str = "") -> str:
    path = f"contact-{uuid4().hex}"
    site.pages[path] = (
        f"{head}<form method=post action='{root}/forms/default'><input name=email><textarea name=message></textarea>"
        "<button>Send</button></form>"
    )
    if policy:
        site.policies[path] = policy
    return path


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("policy", ["same-origin", "no-referrer"])
def test_a_message_of_a_page_that_does_not_say_where_it_is_takes_one_click(
    browser: Browser, served: Served, site: Website, root: str, policy: str, javascript: bool
) -> None:
    served.inbox.clear()
    with browser.page(javascript=javascript) as page:
        page.open(f"{site.origin('shop.example')}/{contact(site, root, policy=policy)}")
        page.type("[name=email]", f"visitor-{uuid4().hex[:8]}@example.com")
        page.type("[name=message]", "Please call me.\nSoon.")
        page.click("button", navigates=True)
        assert "Your message has not been sent yet" in page.text()
        assert page.value("[name=message]") == "Please call me.\nSoon."
        assert page.evaluate("document.activeElement === document.body")
        page.click("button", navigates=True)
        assert "Thank you" in page.text()
        assert page.url == f"{root}/forms/default"
    assert "Soon." in (served.arrived().text or "")


@pytest.mark.parametrize("root_is_proxied", [True, False])
def test_a_meta_element_makes_the_click_unnecessary(
    browser: Browser, served: Served, site: Website, root: str, root_is_proxied: bool
) -> None:
    head = '<meta name="referrer" content="strict-origin-when-cross-origin">'
    to = root if root_is_proxied else served.url
    with browser.page() as page:
        page.open(f"{site.origin('shop.example')}/{contact(site, to, policy='same-origin', head=head)}")
        page.type("[name=email]", f"visitor-{uuid4().hex[:8]}@example.com")
        page.type("[name=message]", f"Please call me. {uuid4()}")
        page.click("button", navigates=True)
        assert "Thank you" in page.text()


def test_a_typo_is_corrected_behind_an_nginx_that_says_nothing(
    browser: Browser, served: Served, site: Website, root: str
) -> None:
    with browser.page() as page:
        page.open(f"{site.origin('shop.example')}/{contact(site, root)}")
        page.type("[name=email]", "visitor@")
        page.type("[name=message]", f"Please call me. {uuid4()}")
        page.click("button", navigates=True)
        page.type("[name=email]", "example.com")
        page.click("button", navigates=True)
        assert "Thank you" in page.text()
        assert page.evaluate("document.querySelector('main a').href") == f"{site.origin('shop.example')}/"


def test_a_page_of_another_site_cannot_use_what_it_was_shown(
    browser: Browser, served: Served, site: Website, root: str
) -> None:
    """Neither in a frame nor by a script, and its visitor can copy what was typed."""
    with browser.page() as page:
        path = contact(site, root, policy="no-referrer")
        site.pages[path] += "<iframe name=inside></iframe><script>document.forms[0].target = 'inside'</script>"
        page.open(f"{site.origin('thief.example')}/{path}")
        page.evaluate("document.forms[0].submit()")
        page.wait_for("document.querySelector('iframe').contentDocument === null")
        assert any("frame" in problem.lower() for problem in page.problems)
        page.open(f"{site.origin('thief.example')}/{contact(site, root)}")
        page.type("[name=message]", "Copy me")
        page.click("button", navigates=True)
        assert "cannot be used from the page you came from" in page.text()
        assert "Copy me" in page.text("dl")
        assert not page.has("form")
