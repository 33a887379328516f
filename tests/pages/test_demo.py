"""`/demo`: the form, the code that is shown of it, and the mail beside it."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from app.emails.office import Office
from app.emails.queue import deliver_one
from app.emails.record import claim
from app.inbox import InboxStore
from tests.conftest import Service
from tests.pages.mail import HOSTILE, deliver


def form_of(page: str) -> str:
    match = re.search(r"<form.*?</form>", page, re.DOTALL)
    assert match is not None
    return match[0]


def test_the_form_is_posted_to_the_default_form_and_the_code_below_is_that_form(client: FlaskClient) -> None:
    page = client.get("/demo", base_url="https://mail.example.localhost:8443").text
    form = form_of(page)
    assert '<form method="post" action="/forms/default" enctype="multipart/form-data">' in form
    shown = re.search(r'<pre id="markup".*?<code>(.*?)</code>', page, re.DOTALL)
    assert shown is not None
    assert unescape(shown[1]) == form.replace('"/forms/default"', '"https://mail.example.localhost:8443/forms/default"')


def test_every_field_of_the_form_has_a_label(client: FlaskClient) -> None:
    form = form_of(client.get("/demo").text)
    fields = re.findall(r"<(?:input|textarea|select)\b", form)
    assert len(fields) == len(re.findall(r"<label>[^<]+<(?:input|textarea|select)\b|<label>[^<]+\n\s*<select\b", form))
    assert len(fields) >= 5


def test_the_newest_mail_is_shown_without_javascript(client: FlaskClient, store: InboxStore) -> None:
    assert "Nothing has arrived yet" in client.get("/demo").text
    deliver(store, subject="Older")
    id = deliver(store, subject="Newer", html="<p>Hi</p>", attachments=(("a.txt", "text/plain", b"x"),))
    page = client.get("/demo").text
    assert "Newer" in page
    assert "Older" not in page
    assert f'src="/inbox/{id}/html"' in page
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert "a.txt" in page


def test_a_mail_without_html_is_shown_as_text(client: FlaskClient, store: InboxStore) -> None:
    deliver(store, text="Only <text>")
    page = client.get("/demo").text
    assert "Only &lt;text&gt;" in page
    assert "<iframe" not in page


def test_what_a_stranger_wrote_is_escaped(client: FlaskClient, store: InboxStore) -> None:
    deliver(store, subject=HOSTILE, text=HOSTILE, reply_to=f'"{HOSTILE[:20]}" <ada@example.com>')
    page = client.get("/demo").text
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_a_submission_becomes_the_mail_of_its_reference(service: Service) -> None:
    headers = {"Origin": "http://localhost", "Accept": "application/json"}
    data = {"email": "grace@example.com", "message": "Does it work?", "urgency": "Today"}
    answer = service.client.post("/forms/default", data=data, headers=headers)
    assert answer.status_code == 200, answer.text
    reference = answer.get_json()["reference"]
    assert service.client.get(f"/demo/mail/{reference}").status_code == 204
    office: Office = service.app.extensions["letterbox"]
    [email] = claim(office, limit=10)
    deliver_one(office, email)
    # A later one does not take its place.
    deliver(service.inbox, subject="Something else")
    arrived = service.client.get(f"/demo/mail/{reference}")
    assert arrived.status_code == 200
    assert reference in arrived.text
    assert "grace@example.com" in arrived.text
    assert "Something else" not in arrived.text


@pytest.mark.parametrize("reference", ["x", "0000000", "000000000", "0000000g", "%00", "..%2f"])
def test_what_is_no_reference_is_not_looked_for(client: FlaskClient, reference: str) -> None:
    assert client.get(f"/demo/mail/{reference}").status_code == 404


def test_a_mail_that_only_mentions_the_reference_is_not_it(client: FlaskClient, store: InboxStore) -> None:
    deliver(store, subject="ABCD1234", text="X-Email-Id: ABCD1234")
    assert client.get("/demo/mail/ABCD1234").status_code == 204


@pytest.mark.parametrize("path", ["/demo", "/demo/mail/ABCD1234"])
def test_the_demo_is_as_private_as_the_inbox(client: FlaskClient, store: InboxStore, path: str) -> None:
    deliver(store, subject="Private")
    rebound = client.get(path, headers={"Host": "evil.example"})
    script = client.get(path, headers={"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"})
    for response in (rebound, script):
        assert response.status_code == 403
        assert "Private" not in response.text
    assert client.get(path).headers["Cache-Control"] == "no-store"


def test_the_other_pages_lead_to_the_demo(client: FlaskClient) -> None:
    for path in ("/", "/inbox", "/docs"):
        assert 'href="/demo"' in client.get(path).text


def test_without_an_inbox_there_is_no_demo(sending_client: FlaskClient) -> None:
    assert sending_client.get("/demo").status_code == 404
    assert "/demo" not in sending_client.get("/").text
