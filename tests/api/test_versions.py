"""Every way of naming an API version, and every way of getting it wrong (spec: email-api, section 1)."""

import pytest

from tests.conftest import Service


@pytest.mark.parametrize(
    ("path", "headers", "source"),
    [
        ("/api/v1/versiontest", {}, "URL Path"),
        ("/api/v1.0/versiontest", {}, "URL Path"),
        ("/api/V1/versiontest", {}, "URL Path"),
        ("/api/versiontest?api-version=1.0", {}, "Query String"),
        ("/api/versiontest?api-version=1", {}, "Query String"),
        ("/api/versiontest?API-Version=1.0", {}, "Query String"),
        ("/api/versiontest?api-version=&api-version=1.0", {}, "Query String"),
        ("/api/versiontest", {"X-Version": "1.0"}, "Header"),
        ("/api/versiontest", {"X-Version": "1"}, "Header"),
        ("/api/versiontest?api-version=", {"X-Version": "1"}, "Header"),
        # The first that is present decides.
        ("/api/v1/versiontest?api-version=2.0", {"X-Version": "7"}, "URL Path"),
        ("/api/versiontest?api-version=1.0", {"X-Version": "2.0"}, "Query String"),
        # What is counted is what is routed.
        ("//api//v1///versiontest/", {}, "URL Path"),
        ("/API/v1/VersionTest", {}, "URL Path"),
        ("/%61pi/v1/versiontest", {}, "URL Path"),
    ],
)
def test_version_1_is_understood(service: Service, path: str, headers: dict[str, str], source: str) -> None:
    # A path that begins with two slashes would be read as a host by the client.
    answer = service.client.get("/", headers=headers, environ_overrides=_environ(path))
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["version"] == "1.0"
    assert answer.json["versionSource"] == source
    assert set(answer.json) == {"version", "message", "versionSource"}
    assert answer.headers["api-supported-versions"] == "1.0, 2.0"


def test_version_2_has_additional_info(service: Service) -> None:
    answer = service.client.get("/api/v2/versiontest")
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["version"] == "2.0"
    assert answer.json["additionalInfo"]


@pytest.mark.parametrize("path", ["/api/emails", "/api/emails?api-version=", "/api", "/api/", "/api/v/emails"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_without_a_version_the_answer_shows_how_to_name_one(service: Service, path: str, method: str) -> None:
    answer = service.client.open(path, method=method, headers={"X-Version": ""})
    assert answer.status_code == 400
    assert answer.mimetype == "application/json"
    assert answer.json is not None
    assert answer.json["detail"]
    assert {name: answer.json[name] for name in answer.json if name != "detail"} == {
        "status": 400,
        "title": "API Version Required",
        "example": {
            "urlPath": "/api/v1/resource",
            "queryString": "?api-version=1.0",
            "header": "X-Version: 1.0",
        },
    }


@pytest.mark.parametrize(
    ("path", "headers", "requested", "supported"),
    [
        ("/api/v2/emails", {}, "2", ["1.0"]),
        ("/api/v2.0/emails/A3F2B1C9", {}, "2.0", ["1.0"]),
        ("/api/emails?api-version=2.0", {}, "2.0", ["1.0"]),
        ("/api/emails", {"X-Version": "2.0"}, "2.0", ["1.0"]),
        ("/api/emails", {"X-Version": "latest"}, "latest", ["1.0"]),
        ("/api/emails?api-version=1.0.0", {}, "1.0.0", ["1.0"]),
        ("/api/emails?api-version=01", {}, "01", ["1.0"]),
        ("/api/emails?api-version=-1", {}, "-1", ["1.0"]),
        ("/api/emails?api-version=99999999999999999999", {}, "99999999999999999999", ["1.0"]),
        ("/api/vX/emails", {}, "X", ["1.0"]),
        ("/api/emails?api-version=1.0%0d%0a", {}, "1.0\r\n", ["1.0"]),
        ("/api/emails?api-version=1.0%0a", {}, "1.0\n", ["1.0"]),
        ("/api/emails?api-version=%201.0", {}, " 1.0", ["1.0"]),
        ("/api/emails?api-version=1.0+", {}, "1.0 ", ["1.0"]),
        ("/api/emails?api-version=+1", {}, " 1", ["1.0"]),
        ("/api/emails?api-version=%2B1", {}, "+1", ["1.0"]),
        ("/api/emails?api-version=1.0%00", {}, "1.0\0", ["1.0"]),
        ("/api/emails?api-version=%C2%A01.0", {}, "\xa01.0", ["1.0"]),
        ("/api/emails?api-version=%D9%A1", {}, "\N{ARABIC-INDIC DIGIT ONE}", ["1.0"]),
        ("/api/emails?api-version=1_0", {}, "1_0", ["1.0"]),
        ("/api/v1%0A/emails", {}, "1\n", ["1.0"]),
        ("/api/v%EF%BC%91/emails", {}, "\N{FULLWIDTH DIGIT ONE}", ["1.0"]),
        ("/api/emails", {"X-Version": "1.0\x85"}, "1.0\x85", ["1.0"]),
        ("/api/v3/versiontest", {}, "3", ["1.0", "2.0"]),
        ("/api/v1.1/smtp-configurations", {}, "1.1", ["1.0"]),
    ],
)
def test_a_version_that_the_resource_does_not_have_is_unsupported(
    service: Service, path: str, headers: dict[str, str], requested: str, supported: list[str]
) -> None:
    answer = service.client.get(path, headers=headers)
    assert answer.status_code == 404
    assert answer.mimetype == "application/json"
    assert answer.json is not None
    assert answer.json["title"] == "Unsupported API Version"
    assert answer.json["status"] == 404
    assert answer.json["requestedVersion"] == requested
    assert answer.json["supportedVersions"] == supported
    assert answer.headers["api-supported-versions"] == ", ".join(supported)


def test_query_and_header_that_disagree_are_logged(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service.client.get("/api/versiontest?api-version=1.0", headers={"X-Version": "1"})
    assert "another API version" not in caplog.text
    service.client.get("/api/versiontest?api-version=1.0", headers={"X-Version": "2"})
    assert "another API version" in caplog.text


def test_an_unknown_resource_is_not_found(service: Service) -> None:
    answer = service.client.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


def test_location_is_in_the_form_that_the_client_used(service: Service) -> None:
    for path, headers, form in (
        ("/api/v1.0/emails", {}, "/api/v1/emails/{}"),
        ("/api/emails?api-version=1", {}, "/api/emails/{}?api-version=1.0"),
        ("/api/emails", {"X-Version": "1.0"}, "/api/emails/{}?api-version=1.0"),
    ):
        answer = service.post(path, headers=headers)
        assert answer.status_code == 201
        assert answer.json is not None
        assert answer.headers["Location"] == form.format(answer.json["id"])
        assert service.client.get(answer.headers["Location"]).json == answer.json


def _environ(path: str) -> dict[str, str]:
    path, _, query = path.partition("?")
    return {"PATH_INFO": path.replace("%61", "a"), "QUERY_STRING": query}
