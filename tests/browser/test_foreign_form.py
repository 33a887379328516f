"""A form on somebody's website, which is another origin: what its owner pastes works there, and nowhere else."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.connections.access import create_token
from app.model.access import Permission
from app.model.form import Form
from tests.browser.browser import Browser, Page
from tests.browser.served import Served, Website, served_service, website

THANKS = "Thank you! Your message has been received."
STATUS = "(document.querySelector('[role=status], [role=alert]')?.textContent ?? '')"
CHECKED = "document.querySelector('input[name=altcha]')?.value?.length > 100"


@pytest.fixture(scope="module")
def site() -> Iterator[Website]:
    with website() as site:
        yield site


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_service(tmp_path_factory.mktemp("service")) as served:
        yield served


@pytest.fixture(autouse=True)
def _empty_inbox(served: Served) -> None:
    served.inbox.clear()


def new_form(served: Served, site: Website, **fields: Any) -> Form:
    return served.new_form(f"form {uuid4().hex}", **{"allowedOrigins": [site.origin("shop.example")]} | fields)


def pasted(browser: Browser, served: Served, form: Form, id: str) -> str:
    """The code of the snippet page, as its owner gets it there."""
    registry = served.office.registry
    token = create_token(registry, project="Shop", permissions=[Permission.FORMS_MANAGE])
    with browser.page() as page:
        page.open(f"{served.url}/forms/{form.key}/snippet")
        page.type("[name=token]", token)
        page.click("form button", navigates=True)
        assert token not in page.url
        assert page.problems == []
        code: str = page.evaluate(f"document.getElementById('{id}').textContent")
        return code


def fill_in(page: Page) -> str:
    email = f"visitor-{uuid4().hex[:8]}@example.com"
    page.type("[name=name]", "Katherine Johnson")
    page.type("[name=email]", email)
    page.type("[name=message]", "Please call me.")
    return email


@pytest.mark.parametrize("javascript", [True, False])
def test_plain_html_works_from_another_origin_and_leads_back(
    browser: Browser, served: Served, site: Website, tmp_path: Path, javascript: bool
) -> None:
    (tmp_path / "plan.txt").write_bytes(b"42")
    site.pages["plain"] = pasted(browser, served, new_form(served, site), "plain")
    with browser.page(javascript=javascript, language="de") as page:
        page.open(f"{site.origin('shop.example')}/plain")
        email = fill_in(page)
        page.choose_file("[type=file]", tmp_path / "plan.txt")
        page.click("button", navigates=True)
        assert page.evaluate("document.documentElement.lang") == "de"
        assert "Vielen Dank" in page.text()
        mail = served.arrived()
        assert email in mail.summary.reply_to
        assert [(file.file_name, file.content) for file in mail.attachments] == [("plan.txt", b"42")]
        # Only its origin is told to another one.
        assert page.evaluate("document.querySelector('main a').href") == f"{site.origin('shop.example')}/"


@pytest.mark.parametrize("way", ["enhanced", "fetch"])
def test_code_with_a_script_sends_in_place_and_says_what_is_wrong(
    browser: Browser, served: Served, site: Website, tmp_path: Path, way: str
) -> None:
    (tmp_path / "tool.exe").write_bytes(b"MZ")
    site.pages[way] = pasted(browser, served, new_form(served, site), way)
    with browser.page() as page:
        page.open(f"{site.origin('shop.example')}/{way}")
        email = fill_in(page)
        page.choose_file("[type=file]", tmp_path / "tool.exe")
        page.click("button")
        page.wait_for("document.body.innerText.includes('Files of this type cannot be sent.')")
        assert [page.value(f"[name={name}]") for name in ("email", "message")] == [email, "Please call me."]
        page.evaluate("document.querySelector('[type=file]').value = ''")
        page.wait_for("!document.querySelector('button').disabled")
        page.click("button")
        page.wait_for(f"{STATUS}.includes('{THANKS}')")
        assert page.url == f"{site.origin('shop.example')}/{way}"
        assert page.value("[name=message]") == ""
        assert email in served.arrived().summary.reply_to
        assert len(served.inbox.ids()) == 1


@pytest.mark.parametrize("way", ["plain", "enhanced", "fetch"])
def test_code_of_a_form_with_all_checks_passes_them(browser: Browser, served: Served, site: Website, way: str) -> None:
    form = new_form(served, site, check="altcha", needsToken=True, minAgeSeconds=1, requiredFields=["name"])
    site.pages[f"checked-{way}"] = pasted(browser, served, form, way)
    with browser.page() as page:
        # Browsers calculate for encrypted pages alone, and for those of this machine.
        page.open(f"{site.origin('localhost')}/checked-{way}")
        email = fill_in(page)
        page.wait_for(CHECKED)
        page.click("button", navigates=way == "plain")
        page.wait_for(f"document.body.innerText.replace(/\\s+/g, ' ').includes('{THANKS}')")
        assert email in served.arrived().summary.reply_to


def test_a_bot_that_fills_in_everything_is_thanked_and_nothing_arrives(
    browser: Browser, served: Served, site: Website
) -> None:
    form = new_form(served, site)
    site.pages["bot"] = pasted(browser, served, form, "plain")
    with browser.page() as page:
        page.open(f"{site.origin('shop.example')}/bot")
        assert page.evaluate("document.querySelector('[name=_gotcha]').checkVisibility()") is False
        fill_in(page)
        page.evaluate("document.querySelector('[name=_gotcha]').value = 'https://spam.example'")
        page.click("button", navigates=True)
        assert "Thank you" in page.text()
        assert served.received(form) == 0
        page.open(f"{site.origin('shop.example')}/bot")
        email = fill_in(page)
        page.click("button", navigates=True)
        assert email in served.arrived().summary.reply_to
        assert served.received(form) == 1


@pytest.mark.parametrize("javascript", [True, False])
def test_the_same_form_on_a_site_that_is_not_allowed_is_refused(
    browser: Browser, served: Served, site: Website, javascript: bool
) -> None:
    form = new_form(served, site)
    site.pages["stolen"] = pasted(browser, served, form, "plain")
    with browser.page(javascript=javascript) as page:
        page.open(f"{site.origin('thief.example')}/stolen")
        fill_in(page)
        page.click("button", navigates=True)
        assert "cannot be used from the page you came from" in page.text()
        assert not page.has("form")
    assert served.received(form) == 0


def test_a_script_of_a_site_that_is_not_allowed_sends_nothing_and_reads_nothing(
    browser: Browser, served: Served, site: Website
) -> None:
    form = new_form(served, site)
    site.pages["script"] = "<p>"
    post = (
        f"fetch('{served.url}/forms/{form.key}', {{method: 'POST', headers: {{Accept: 'application/json'}},"
        " body: new URLSearchParams({email: 'a@example.com', message: 'x'})})"
        ".then(async (answer) => `${answer.status} ${(await answer.json()).ok}`, (error) => String(error))"
    )
    with browser.page() as page:
        page.open(f"{site.origin('thief.example')}/script")
        assert page.evaluate(post) == "TypeError: Failed to fetch"
        page.open(f"{site.origin('shop.example')}/script")
        assert page.evaluate(post) == "200 true"
    assert served.received(form) == 1


def test_json_from_another_origin_passes_its_preflight(browser: Browser, served: Served, site: Website) -> None:
    form = new_form(served, site)
    site.pages["json"] = "<p>"
    post = (
        f"fetch('{served.url}/forms/{form.key}', {{method: 'POST', headers: {{'Content-Type': 'application/json'}},"
        " body: JSON.stringify({email: 'json@example.com', message: 'x'})})"
        ".then(async (answer) => `${answer.status} ${(await answer.json()).ok}`, (error) => String(error))"
    )
    with browser.page() as page:
        page.open(f"{site.origin('shop.example')}/json")
        assert page.evaluate(post) == "200 true"
        page.open(f"{site.origin('thief.example')}/json")
        assert page.evaluate(post) == "TypeError: Failed to fetch"
    assert served.received(form) == 1


def test_a_page_of_this_machine_may_submit_to_the_default_form(browser: Browser, served: Served, site: Website) -> None:
    with browser.page() as page:
        page.open(f"{served.url}/demo")
        site.pages["demo"] = unescape(page.evaluate("document.getElementById('markup').textContent"))
        page.open(f"{site.origin('localhost')}/demo")
        email = fill_in(page)
        page.click("button", navigates=True)
        assert "Thank you" in page.text()
        assert email in served.arrived().summary.reply_to
        page.open(f"{site.origin('shop.example')}/demo")
        fill_in(page)
        page.click("button", navigates=True)
        assert "cannot be used from the page you came from" in page.text()


FORMSPREE = """<form action="https://formspree.io/f/abcdwxyz" method="POST">
<label>Email <input type="email" name="email"></label> <label>Name <input name="name"></label>
<label>Message <textarea name="message"></textarea></label>
<input type="text" name="_gotcha" style="display:none"> <input type="hidden" name="_subject" value="From the site">
<input type="hidden" name="_next" value="NEXT"> <button type="submit">Send</button></form>"""
WEB3FORMS = """<form action="https://api.web3forms.com/submit" method="POST">
<input type="hidden" name="access_key" value="11111111-2222-3333-4444-555555555555">
<input type="text" name="name" required> <input type="email" name="email" required>
<textarea name="message" required></textarea>
<input type="checkbox" name="botcheck" style="display:none"> <input type="hidden" name="subject" value="From the site">
<input type="hidden" name="redirect" value="NEXT"> <button type="submit">Submit</button></form>"""


@pytest.mark.parametrize("elsewhere", [FORMSPREE, WEB3FORMS], ids=["formspree", "web3forms"])
def test_a_form_from_elsewhere_works_with_another_action(
    browser: Browser, served: Served, site: Website, elsewhere: str
) -> None:
    form = new_form(served, site)
    next_page = f"{site.origin('shop.example')}/thanks"
    html, count = re.subn(r'action="[^"]*"', f'action="{served.url}/forms/{form.key}"', elsewhere)
    assert count == 1
    site.pages["moved"] = html.replace("NEXT", next_page)
    site.pages["thanks"] = "<p>Danke"
    with browser.page() as page:
        page.open(f"{site.origin('shop.example')}/moved")
        email = fill_in(page)
        page.click("button", navigates=True)
        assert page.url == next_page
    mail = served.arrived()
    assert email in mail.summary.reply_to
    assert "From the site" in mail.summary.subject
    assert "access_key" not in (mail.text or "")
