"""Forms through the whole service: pages made for other form services, hostile ones, and a server over a socket."""

import http.client
import socket
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from app.emails.workers import Workers
from tests.conftest import Service, assembling
from tests.intake.conftest import BROWSER, ORIGIN, PAGE
from tests.intake.page import Page
from tests.test_process import running

PATIENCE_S = 15


@pytest.fixture(scope="module")
def mailing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with its embedded inbox whose queue is worked off."""
    with assembling(tmp_path_factory.mktemp("intake")) as make:
        service = make(cors_origins=(ORIGIN,), guards={"cooldown_enabled": False})
        workers = Workers(service.app.extensions["letterbox"], threads=1)
        workers.start()
        yield service
        workers.stop()


def mailed(service: Service, fields: dict[str, str]) -> EmailMessage:
    """The mail that a form with these fields becomes."""
    before = len(service.inbox.list())
    answer = service.post("/forms/default", data=fields, headers=BROWSER)
    assert answer.status_code in (200, 303), answer.text
    until = time.monotonic() + PATIENCE_S
    while len(service.inbox.list()) == before:
        assert time.monotonic() < until, "no mail came"
        time.sleep(0.02)
    return service.newest()


def body(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    text: str = part.get_content()
    return text


def test_nested_json_and_a_list_of_addresses_become_one_reply_to(mailing: Service) -> None:
    before = len(mailing.inbox.list())
    document = {"data": {"email": "ada@example.com, charles@example.com", "name": "Ada", "message": "For two, please"}}
    assert mailing.post("/forms/default", json=document, headers=BROWSER).status_code == 200
    until = time.monotonic() + PATIENCE_S
    while len(mailing.inbox.list()) == before:
        assert time.monotonic() < until, "no mail came"
        time.sleep(0.02)
    message = mailing.newest()
    assert [each.addr_spec for each in message["Reply-To"].addresses] == ["ada@example.com", "charles@example.com"]
    assert "For two, please" in body(message)
    assert "data.email: ada@example.com, charles@example.com" in body(message)


def test_a_form_made_for_formspree_works_with_another_action_alone(mailing: Service) -> None:
    message = mailed(
        mailing,
        {
            "name": "Ada Lovelace",
            "_replyto": "ada@example.com",
            "message": "A table for two?",
            "phone": "+44 20 7946 0000",
            "_subject": "From the web site",
            "_next": f"{ORIGIN}/thanks",
            "_cc": "evil@example.com",
            "_gotcha": "",
        },
    )
    assert message["Subject"].startswith("From the web site - [")
    assert message["Reply-To"].addresses[0].addr_spec == "ada@example.com"
    assert "A table for two?" in body(message)
    assert "+44 20 7946 0000" in body(message)
    assert "evil@example.com" not in message.as_string()
    assert "Cc" not in message


def test_a_form_made_for_web3forms_works_with_another_action_and_key_alone(mailing: Service) -> None:
    message = mailed(
        mailing,
        {
            "access_key": "00000000-0000-0000-0000-000000000000",
            "subject": "New contact",
            "from_name": "My Shop",
            "redirect": f"{ORIGIN}/thanks",
            "name": "Ada",
            "email": "ada@example.com",
            "message": "Hello",
            "ccemail": "evil@example.com",
        },
    )
    assert message["Subject"].startswith("New contact - [")
    assert "My Shop" in body(message)
    assert "00000000" not in message.as_string()
    assert "evil@example.com" not in message.as_string()


def test_values_that_look_like_headers_stay_text(mailing: Service) -> None:
    message = mailed(
        mailing,
        {
            "email": "ada@example.com",
            "name": "Ada\r\nBcc: evil@example.com",
            "_subject": "Hi\r\nBcc: evil@example.com",
            "Bcc": "evil@example.com",
            "message": "x",
            "__proto__": "polluted",
            "Subject\r\nBcc": "y",
            "\x00": "nul",
        },
    )
    assert "Bcc" not in message
    assert message["To"].addresses[0].addr_spec == "inbox@letterbox.localhost"
    assert "polluted" in body(message)


def test_a_thousand_fields_are_all_in_the_mail(mailing: Service) -> None:
    text = body(mailed(mailing, {f"field{number:04}": f"value{number:04}" for number in range(1000)}))
    assert all(f"field{number:04}" in text and f"value{number:04}" in text for number in range(1000))


def test_a_page_of_ours_sends_what_it_kept(mailing: Service) -> None:
    first = mailing.post("/forms/default", data={"email": "ada@", "message": "kept text"}, headers=BROWSER)
    page = Page(first.text)
    assert first.status_code == 400
    own = {"Origin": "http://localhost", "Referer": "http://localhost/forms/default"}
    again = mailing.post(page.action, data=dict(page.fields) | {"email": "ada@example.com"}, headers=BROWSER | own)
    assert again.status_code == 200
    assert Page(again.text).links == [PAGE]


def test_a_stranger_is_refused(mailing: Service) -> None:
    refused = mailing.post("/forms/default", data={"message": "x"}, headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403


def test_names_that_no_page_has_are_not_repeated_in_an_answer(mailing: Service) -> None:
    answer = mailing.post("/forms/default", data={"'" * 1_000_000: "x", "message": "Hello"}, headers=BROWSER)
    assert answer.status_code == 400
    assert len(answer.data) < 10_000


def test_the_answers_name_what_they_vary_by_and_who_may_read_them(mailing: Service) -> None:
    answer = mailing.post("/forms/default", data={"email": "x"}, headers=BROWSER | {"Accept": "application/json"})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    vary = {each.strip() for line in answer.headers.getlist("Vary") for each in line.split(",")}
    assert {"Accept", "Accept-Language", "Origin"} <= vary


def test_a_body_that_ends_early_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    with running(tmp_path) as service, socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(
            b"POST /forms/default HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\nmessage=The+first+half"
        )
        connection.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 400


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_browser_that_sends_50_mb_reads_its_answer(tmp_path: Path, is_chunked: bool) -> None:
    block, count = b"x" * 65536, 800
    with running(tmp_path) as service, socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        length = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % (len(block) * count)
        connection.sendall(
            b"POST /forms/default HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n" + length + b"\r\n\r\n"
        )
        # As browsers do it: everything is sent before the answer is looked for.
        for _ in range(count):
            connection.sendall(b"10000\r\n" + block + b"\r\n" if is_chunked else block)
        if is_chunked:
            connection.sendall(b"0\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 413
        assert "The limit is 10 MB" in Page(answer.read().decode()).text
