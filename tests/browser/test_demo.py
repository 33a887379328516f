"""The demo as a newcomer meets it: a form is filled in and sent, and its mail appears beside it."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.browser.browser import Browser, Page
from tests.browser.served import Served, served_service

ARRIVED = "document.querySelector('#arrival article') !== null"
OUTCOME = "document.querySelector('.outcome').textContent"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_service(tmp_path_factory.mktemp("service")) as served:
        yield served


@pytest.fixture(autouse=True)
def _empty_inbox(served: Served) -> None:
    served.inbox.clear()


def fill_in(page: Page, *, email: str = "", message: str = "Where is my parcel?\nIt is late.") -> str:
    email = email or f"visitor-{uuid4().hex[:8]}@example.com"
    page.type("[name=name]", "Grace Hopper")
    page.type("[name=email]", email)
    page.type("[name=message]", message)
    page.type("[name=company]", "Navy & Söhne")
    return email


def typed(page: Page) -> list[str]:
    return [page.value(f"[name={name}]") for name in ("name", "email", "message", "company")]


def frame_text(page: Page) -> str:
    """What stands in the frame with the mail, which has an origin of its own and shows it to nobody."""
    page.wait_for("document.querySelector('#arrival iframe') !== null")
    address = page.evaluate("document.querySelector('#arrival iframe').src")
    text: str = page.evaluate(f"fetch({address!r}).then((answer) => answer.text())")
    return text


def test_the_form_is_sent_in_place_and_its_mail_appears_beside_it(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    (tmp_path / "parcel.txt").write_bytes(b"42")
    with browser.page(width=1280) as page:
        page.open(f"{served.url}/demo")
        email = fill_in(page)
        page.choose_file("[type=file]", tmp_path / "parcel.txt")
        page.click(".form button")
        page.wait_for(ARRIVED)
        assert page.url == f"{served.url}/demo"
        assert page.text("#state") == "It has arrived."
        mail = page.text("#arrival")
        for shown in (
            "letterbox@letterbox.localhost",
            "inbox@letterbox.localhost",
            f"Grace Hopper {email}",
            "parcel.txt",
        ):
            assert shown in mail
        html = frame_text(page)
        assert "Where is my parcel?" in html
        assert "Navy &amp; Söhne" in html
        [summary] = served.inbox.list()
        # Its reference is the one in the subject.
        assert f"reference is {summary.subject[-9:-1]}." in page.text(".outcome")
        assert typed(page) == ["", "", "", ""]
        beside = page.evaluate(
            "document.querySelector('#mail').getBoundingClientRect().left"
            " >= document.querySelector('.paper').getBoundingClientRect().right"
        )
        assert beside
        assert page.problems == []
    [attachment] = served.arrived().attachments
    assert (attachment.file_name, attachment.content) == ("parcel.txt", b"42")


def test_without_javascript_the_mail_is_there_when_the_visitor_comes_back(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    (tmp_path / "parcel.txt").write_bytes(b"42")
    with browser.page(javascript=False) as page:
        page.open(f"{served.url}/demo")
        email = fill_in(page)
        page.choose_file("[type=file]", tmp_path / "parcel.txt")
        page.click(".form button", navigates=True)
        assert page.url == f"{served.url}/forms/default"
        assert "Thank you" in page.text()
        served.arrived()
        page.click("main a", navigates=True)
        assert page.url == f"{served.url}/demo"
        assert f"Grace Hopper {email}" in page.text("#arrival")
        assert "parcel.txt" in page.text("#arrival")
        assert page.problems == []


def test_what_is_wrong_is_said_at_the_field_and_nothing_typed_is_lost(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    (tmp_path / "tool.exe").write_bytes(b"MZ")
    (tmp_path / "parcel.txt").write_bytes(b"42")
    with browser.page() as page:
        page.open(f"{served.url}/demo")
        # A browser takes it for an address.
        fill_in(page, email="grace@nowhere")
        kept = typed(page)
        page.choose_file("[type=file]", tmp_path / "tool.exe")
        page.click(".form button")
        page.wait_for("document.querySelectorAll('[aria-invalid]').length === 2")
        assert page.text("#error-email") == "Please enter a valid email address."
        assert page.text("#error-file") == "Files of this type cannot be sent."
        assert page.evaluate("document.activeElement.name") == "email"
        assert page.evaluate("document.querySelector('[name=file]').getAttribute('aria-describedby')") == "error-file"
        assert typed(page) == kept
        page.choose_file("[type=file]", tmp_path / "parcel.txt")
        page.click(".form button")
        page.wait_for("document.querySelectorAll('[aria-invalid]').length === 1")
        assert page.has("[name=email][aria-invalid]")
        assert not page.has("#error-file")
        assert typed(page) == kept
        assert page.evaluate("document.querySelector('[name=file]').files[0].name") == "parcel.txt"
        assert served.inbox.ids() == []
        page.type("[name=email]", ".example")
        page.click(".form button")
        page.wait_for(ARRIVED)
        assert "grace@nowhere.example" in page.text("#arrival")


def test_a_sender_who_has_to_wait_is_told_so_and_keeps_what_was_typed(browser: Browser, served: Served) -> None:
    with browser.page() as page:
        page.open(f"{served.url}/demo")
        email = fill_in(page)
        page.click(".form button")
        page.wait_for(ARRIVED)
        fill_in(page, email=email, message="One more thing")
        kept = typed(page)
        page.click(".form button")
        page.wait_for(f"{OUTCOME}.includes('You can send another one in')")
        assert "another address" in page.text(".outcome")
        assert typed(page) == kept


def test_nothing_is_lost_when_the_service_does_not_answer(browser: Browser, served: Served) -> None:
    with browser.page() as page:
        page.open(f"{served.url}/demo")
        fill_in(page)
        kept = typed(page)
        page.send("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        page.click(".form button")
        page.wait_for(f"{OUTCOME}.includes('cannot be reached')")
        assert typed(page) == kept
        page.send(
            "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )
        page.click(".form button")
        page.wait_for(ARRIVED)


def test_a_field_that_is_required_is_asked_for_by_the_browser(browser: Browser, served: Served) -> None:
    with browser.page() as page:
        page.open(f"{served.url}/demo")
        page.click(".form button")
        assert page.evaluate("document.activeElement.name") == "email"
        assert not any(request.startswith("POST") for request in page.requests)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_window(browser: Browser, served: Served, width: int, dark: bool) -> None:
    with browser.page(width=width, dark=dark) as page:
        page.open(f"{served.url}/demo")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.open(f"{served.url}/forms/default/snippet")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.problems == []


def test_on_a_phone_the_mail_comes_into_view(browser: Browser, served: Served) -> None:
    with browser.page(width=390) as page:
        page.open(f"{served.url}/demo")
        fill_in(page)
        page.click(".form button")
        page.wait_for(ARRIVED)
        page.wait_for("document.querySelector('#arrived').getBoundingClientRect().top < innerHeight / 2")
