"""Who sees the inbox and who may change it: names of this host, requests of these pages."""

import pytest
from flask.testing import FlaskClient

from app.inbox import InboxStore
from app.pages.visitor import names_this_host
from app.settings import Settings
from tests.pages.conftest import make_client
from tests.pages.mail import deliver

OWN_HOSTS = ["localhost", "localhost:8000", "app.localhost", "127.0.0.1:8000", "[::1]:8000", "192.168.1.5", "LOCALHOST"]
FOREIGN_HOSTS = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", "", "[", "a b"]


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_the_inbox_is_shown_under_names_that_nobody_else_can_point_here(client: FlaskClient, host: str) -> None:
    assert client.get("/inbox", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_the_inbox_is_refused_under_a_rebound_name(client: FlaskClient, store: InboxStore, host: str) -> None:
    id = deliver(store, subject="Private")
    for path in ("", "/messages", f"/{id}", f"/{id}/source"):
        response = client.get(f"/inbox{path}", headers={"Host": host})
        assert response.status_code == 403
        assert "Private" not in response.text


@pytest.mark.parametrize("host", ["[", "[::1", "a@[b", ":80", "", "0x7f.1", "127.1"])
def test_what_is_no_host_is_no_name_of_this_one(host: str) -> None:
    assert not names_this_host(host, configured="")


def test_the_configured_host_is_one_of_these_names(store: InboxStore) -> None:
    client = make_client(inbox=store, settings=Settings(host="Dev.Example.com"))
    assert client.get("/inbox", headers={"Host": "dev.example.com:8000"}).status_code == 200
    assert client.get("/inbox", headers={"Host": "other.example.com:8000"}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Origin": "https://localhost"},
    ],
)
def test_our_own_form_may_clear_the_inbox(client: FlaskClient, store: InboxStore, headers: dict[str, str]) -> None:
    deliver(store)
    assert client.post("/inbox/clear", headers=headers).status_code == 303
    assert store.list() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://["},
        {"Referer": "http://localhost/inbox"},
    ],
)
def test_a_form_of_another_site_changes_nothing(
    client: FlaskClient, store: InboxStore, headers: dict[str, str]
) -> None:
    id = deliver(store)
    for path in ("/inbox/clear", f"/inbox/{id}/delete"):
        assert client.post(path, headers=headers).status_code == 403
    assert len(store.list()) == 1


def test_a_script_of_another_origin_cannot_read_the_inbox(client: FlaskClient) -> None:
    assert client.get("/inbox", headers={"Origin": "http://localhost:3000"}).status_code == 403
    script = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}
    assert client.get("/inbox/messages", headers=script).status_code == 403


def test_a_link_on_another_site_may_lead_to_the_inbox(client: FlaskClient) -> None:
    assert client.get("/inbox", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("path", ["clear", "x/delete"])
def test_nothing_is_changed_by_a_get(client: FlaskClient, store: InboxStore, path: str) -> None:
    deliver(store)
    assert client.get(f"/inbox/{path}", headers={"Sec-Fetch-Site": "same-origin"}).status_code in (404, 405)
    assert len(store.list()) == 1


def test_the_host_of_the_public_url_is_one_of_these_names_and_its_origin_ours(store: InboxStore) -> None:
    settings = Settings(public_url="https://mail.example.com/box", environment="staging")
    client = make_client(inbox=store, settings=settings)
    for host in ("mail.example.com", "127.0.0.1:8000"):
        assert client.get("/box/inbox", headers={"Host": host}).status_code == 200
        answer = client.post("/inbox/clear", headers={"Host": host, "Origin": "https://mail.example.com"})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/box/inbox")
        assert client.post("/inbox/clear", headers={"Host": host, "Origin": f"https://{host}:1"}).status_code == 403
    for host in ("evil.example", "", "evil.example, mail.example.com"):
        assert client.get("/box/inbox", headers={"Host": host}).status_code == 403
