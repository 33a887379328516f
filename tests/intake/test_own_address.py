"""`PUBLIC_URL` through the whole service: what is ours, what every answer names, and that `Host` decides nothing."""

from collections.abc import Iterator

import pytest

from app.model.smtp import Account, SMTPConfiguration
from tests.conftest import Service, assembling, valid_request
from tests.intake.conftest import BROWSER, ORIGIN
from tests.intake.page import Page

OWN = {"Origin": "https://mail.example.com", "Accept": "text/html", "Host": "127.0.0.1:8000"}
FIELDS = {"email": "ada@example.com", "message": "Hello"}


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with assembling(tmp_path_factory.mktemp("public")) as make:
        yield make(
            public_url="https://mail.example.com/box",
            environment="production",
            cors_origins=(ORIGIN,),
            guards={"cooldown_enabled": False},
            **sending(),
        )


def sending() -> dict[str, object]:
    """A server to send through, which nobody asks."""
    configuration = SMTPConfiguration(
        index=1, host="127.0.0.1", port=1, account=Account("web@example.com", "", "password")
    )
    return {
        "smtp_configurations": (configuration,),
        "reception_email": "office@example.com",
        "secret_keys": ("a key that only these tests know, and long enough",),
        "smtp_warm_sessions": False,
    }


def test_a_page_of_ours_is_submitted_whatever_the_proxy_writes_into_host(public: Service) -> None:
    assert public.post("/forms/default", data=FIELDS, headers=OWN).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost:8000"])
def test_a_host_that_a_client_names_is_not_ours(public: Service, host: str) -> None:
    origin = {"Origin": f"http://{host}", "Host": host, "X-Forwarded-Host": host}
    fields = FIELDS | {"_next": f"http://{host}/"}
    assert public.post("/forms/default", data=fields, headers=BROWSER | origin).status_code == 403
    answer = public.post("/forms/default", data=fields, headers=BROWSER | {"Host": host})
    assert (answer.status_code, answer.headers.get("Location")) == (200, None)


def test_every_address_in_a_page_has_the_path(public: Service) -> None:
    answer = public.post("/forms/default", data={"email": "ada@"}, headers=BROWSER)
    page = Page(answer.text)
    assert page.action == "/box/forms/default"
    sheets = [given["href"] for tag, given in page.tags if tag == "link"]
    assert sheets
    assert all(sheet.startswith("/box/") for sheet in sheets)
    assert all(public.client.get(sheet, buffered=True).status_code == 200 for sheet in sheets)


def test_location_link_and_document_have_the_path(public: Service) -> None:
    answer = public.post("/api/v1/emails", json=valid_request(), headers={"Prefer": "respond-async"})
    location = answer.headers["Location"]
    assert location.startswith("/box/api/v1/emails/")
    assert public.client.get(location).status_code == 200
    assert public.client.get("/openapi.json").json["servers"] == [{"url": "https://mail.example.com/box"}]  # type: ignore[index]
    assert "Strict-Transport-Security" in answer.headers


def test_one_budget_counts_with_and_without_the_path(tmp_path_factory: pytest.TempPathFactory) -> None:
    with assembling(tmp_path_factory.mktemp("counted")) as make:
        service = make(public_url="https://mail.example.com/box", guards={"rate_limit_enabled": True})
        paths = ["/api/v1/versiontest", "/box/api/v1/versiontest", "/box//api/v1/versiontest", "/API/v1/versiontest"]
        answers = [service.client.get(path).status_code for path in paths * 3]
    assert answers.count(200) == 10
    assert answers.count(429) == 2
