"""The list, a message and its parts, as a browser gets them."""

import re
import smtplib
from html import unescape

import pytest
from flask.testing import FlaskClient

from app.inbox import EmbeddedInbox, InboxStore
from app.pages.inbox import mailbox
from tests.pages.mail import HOSTILE, deliver

OWN_ORIGIN = {"Origin": "http://localhost"}
VIEWS = ["html", "text", "headers", "source"]


def test_a_message_sent_over_smtp_appears_on_the_page(client: FlaskClient, store: InboxStore) -> None:
    inbox = EmbeddedInbox(store)
    with smtplib.SMTP("127.0.0.1", inbox.start(), timeout=10) as smtp:
        smtp.sendmail("a@example.com", ["b@example.com"], b"Subject: Over the wire\r\n\r\nHello, page!\r\n")
    inbox.stop()
    page = client.get("/inbox").text
    [link] = re.findall(r'href="(/inbox/[0-9a-f]{22})"', page)
    assert "Over the wire" in page
    assert "Hello, page!" in client.get(link).text


def test_an_empty_inbox_shows_how_to_fill_it(client: FlaskClient) -> None:
    page = client.get("/inbox").text
    assert "Nothing here yet" in page
    assert "curl http://localhost/api/v1/emails" in page
    assert "Clear all" not in page


def test_the_list_is_newest_first_with_sender_subject_and_attachments(client: FlaskClient, store: InboxStore) -> None:
    deliver(store, subject="First")
    deliver(
        store, subject="رسالة", attachments=(("a.pdf", "application/pdf", b"a"), ("b.pdf", "application/pdf", b"b"))
    )
    page = client.get("/inbox").text
    assert page.index("رسالة") < page.index("First")
    assert "Ada Lovelace" in page
    assert '2<span class="visually-hidden"> attachments</span>' in page
    assert "2 messages" in page


@pytest.mark.parametrize(
    ("field", "parts"),
    [
        ('"Ada Lovelace" <ada@example.com>', ("Ada Lovelace", "ada@example.com")),
        ("Ada <b> Lovelace <ada@example.com>", ("Ada <b> Lovelace", "ada@example.com")),
        ("<ada@example.com>", ("", "ada@example.com")),
        ("ada@example.com", ("", "ada@example.com")),
        ("a@example.com, <b@example.com> x", ("", "a@example.com, <b@example.com> x")),
        ("", ("", "")),
    ],
)
def test_a_sender_is_a_name_and_an_address(field: str, parts: tuple[str, str]) -> None:
    assert mailbox(field) == parts


def test_the_fragment_is_sent_again_only_when_it_changed(client: FlaskClient, store: InboxStore) -> None:
    id = deliver(store)
    response = client.get("/inbox/messages")
    unchanged = client.get("/inbox/messages", headers={"If-None-Match": response.headers["ETag"]})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    store.delete(id)
    changed = client.get("/inbox/messages", headers={"If-None-Match": response.headers["ETag"]})
    assert changed.status_code == 200
    assert "<html" not in changed.text


def test_a_message_opens_with_its_html_in_a_sandboxed_frame(client: FlaskClient, store: InboxStore) -> None:
    id = deliver(store, html="<p>Hi</p>")
    [frame] = re.findall(r"<iframe[^>]*>", client.get(f"/inbox/{id}").text)
    [sandbox] = re.findall(r'sandbox="([^"]*)"', frame)
    assert f'src="/inbox/{id}/html"' in frame
    assert not {"allow-scripts", "allow-same-origin", "allow-forms", "allow-top-navigation"} & set(sandbox.split())


def test_each_view_shows_its_part(client: FlaskClient, store: InboxStore) -> None:
    id = deliver(store, text="The text part", html="<p>The HTML part</p>")
    shown = {view: client.get(f"/inbox/{id}?view={view}").text for view in VIEWS}
    assert "The text part" in shown["text"]
    assert "Content-Type" in shown["headers"]
    assert "Envelope to" in shown["headers"]
    assert "&lt;p&gt;The HTML part&lt;/p&gt;" in shown["source"]
    assert "The HTML part" not in shown["html"]


def test_a_plain_message_opens_with_its_text_and_has_no_html_view(client: FlaskClient, store: InboxStore) -> None:
    id = deliver(store, text="Only text")
    page = client.get(f"/inbox/{id}?view=html").text
    assert "Only text" in page
    assert "<iframe" not in page
    assert client.get(f"/inbox/{id}/html").status_code == 404


def test_the_preview_can_be_a_phone_in_the_dark(client: FlaskClient, store: InboxStore) -> None:
    id = deliver(store, html="<p>Hi</p>")
    page = unescape(client.get(f"/inbox/{id}?width=phone&scheme=dark").text)
    assert 'class="sheet phone dark"' in page
    assert f'src="/inbox/{id}/html?scheme=dark"' in page
    assert 'class="sheet desktop auto"' in client.get(f"/inbox/{id}?width={HOSTILE}&scheme=x").text


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_values_are_escaped_everywhere(client: FlaskClient, store: InboxStore, view: str) -> None:
    id = deliver(
        store,
        subject=HOSTILE,
        text=HOSTILE,
        html=HOSTILE,
        reply_to='"<script>alert(1)</script>" <m@example.com>',
        attachments=((HOSTILE, "text/html", b"x"),),
    )
    for page in (client.get(f"/inbox/{id}?view={view}").text, client.get("/inbox").text):
        assert "<script>" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("view", VIEWS)
def test_broken_mail_has_a_page(client: FlaskClient, store: InboxStore, view: str) -> None:
    raw = b'Subject: =?utf-8?b?///?=\r\nFrom: \xff<\0\r\nContent-Type: multipart/mixed; boundary="x\r\n\r\n--y\r\n\xff'
    id = store.add("", [], raw)
    assert client.get("/inbox").status_code == 200
    assert client.get(f"/inbox/{id}?view={view}").status_code == 200


def test_a_very_long_text_is_cut_and_can_be_downloaded(client: FlaskClient, store: InboxStore) -> None:
    id = deliver(store, text="long " * 200_000)
    response = client.get(f"/inbox/{id}")
    assert len(response.data) < 600_000
    assert f'href="/inbox/{id}/source" download' in response.text


def test_the_source_is_downloaded_as_it_came(client: FlaskClient, store: InboxStore) -> None:
    id = deliver(store)
    response = client.get(f"/inbox/{id}/source")
    assert response.data == store.source(id)
    assert response.mimetype == "application/octet-stream"
    assert response.headers["Content-Disposition"] == f"attachment; filename={id}.eml"


@pytest.mark.parametrize("content", [b"", b"\0\r\n.\r\n\xff" * 1000, bytes(range(256))])
def test_an_attachment_is_downloaded_byte_for_byte(client: FlaskClient, store: InboxStore, content: bytes) -> None:
    id = deliver(store, attachments=(("Rechnung für März.pdf", "application/pdf", content),))
    response = client.get(f"/inbox/{id}/attachments/1")
    assert response.data == content
    assert response.mimetype == "application/pdf"
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("attachment; ")
    assert "filename*=UTF-8''Rechnung%20f%C3%BCr%20M%C3%A4rz.pdf" in disposition


@pytest.mark.parametrize(
    "content_type", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript", "x/y"]
)
def test_a_risky_attachment_is_only_bytes(client: FlaskClient, store: InboxStore, content_type: str) -> None:
    id = deliver(store, attachments=(("../../evil.html", content_type, b"<script>alert(1)</script>"),))
    response = client.get(f"/inbox/{id}/attachments/1")
    assert response.mimetype == "application/octet-stream"
    assert response.headers["Content-Disposition"] == "attachment; filename=evil.html"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["nothing", "0" * 22, "..%2f..%2fetc%2fpasswd", "../../etc/passwd", "%00", "a/b/c"])
def test_what_is_not_there_is_not_found(client: FlaskClient, store: InboxStore, path: str) -> None:
    deliver(store)
    for suffix in ("", "/html", "/source", "/attachments/1"):
        assert client.get(f"/inbox/{path}{suffix}").status_code == 404
    assert client.post(f"/inbox/{path}/delete", headers=OWN_ORIGIN).status_code == 404


@pytest.mark.parametrize("number", ["0", "2", "-1", "x", "9" * 30])
def test_an_attachment_that_is_not_there_is_not_found(client: FlaskClient, store: InboxStore, number: str) -> None:
    id = deliver(store, attachments=(("a.txt", "text/plain", b"a"),))
    assert client.get(f"/inbox/{id}/attachments/{number}").status_code == 404


def test_one_message_or_all_can_be_deleted(client: FlaskClient, store: InboxStore) -> None:
    first, _, _ = (deliver(store) for _ in range(3))
    response = client.post(f"/inbox/{first}/delete", headers=OWN_ORIGIN)
    assert (response.status_code, response.headers["Location"]) == (303, "/inbox")
    assert len(store.list()) == 2
    assert client.get(f"/inbox/{first}").status_code == 404
    client.post("/inbox/clear", headers=OWN_ORIGIN)
    assert store.list() == []


def test_mail_is_kept_by_no_cache(client: FlaskClient, store: InboxStore) -> None:
    id = deliver(store, html="<p>Hi</p>", attachments=(("a.txt", "text/plain", b"a"),))
    for path in ("", f"/{id}", f"/{id}/html", f"/{id}/source", f"/{id}/attachments/1"):
        assert client.get(f"/inbox{path}").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["", "/messages", f"/{'0' * 22}", f"/{'0' * 22}/html"])
def test_without_an_embedded_inbox_there_are_no_inbox_pages(sending_client: FlaskClient, path: str) -> None:
    assert sending_client.get(f"/inbox{path}").status_code == 404
