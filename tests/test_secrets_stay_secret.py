"""A password and a token that nobody else uses, through everything the service does: found only where they may be."""

import json
import re
from pathlib import Path

import pytest

from app.connections import access
from app.emails.office import Office
from app.model.access import Permission
from app.observability.logs import configure_logging
from tests.conftest import MakeService, Service
from tests.smtp_server import SMTPServer

PASSWORD = "canary-password-7f3a9c"
SECOND_PASSWORD = "canary-password-b81e42"
PATH = "/apiops/projects/Shop/connections/main/"


def body(server: SMTPServer, **fields: object) -> dict[str, object]:
    return {
        "type": "email",
        "name": "main",
        "host": "127.0.0.1",
        "port": server.port,
        "auth": True,
        "username": "web@example.com",
        "password": PASSWORD,
        "addressToTest": "me@example.com",
    } | fields


def everything_under(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def test_a_password_and_a_token_are_found_nowhere_but_in_the_one_answer_that_shows_them(
    make_service: MakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(format="json", level="debug")
    with SMTPServer(credentials=("web@example.com", PASSWORD)) as server:
        service: Service = make_service(secret_keys=("k" * 32,), connection_ports=(server.port,))
        office: Office = service.app.extensions["letterbox"]
        token = access.create_token(office.registry, project="Shop", permissions=tuple(Permission))
        viewing = access.create_token(office.registry, project="Shop", permissions=(Permission.CONNECTIONS_VIEW,))
        mine, theirs = ({"Authorization": f"Bearer {shown}"} for shown in (token, viewing))
        client = service.client

        answers = [
            client.post(PATH, json=body(server), headers=mine),
            client.post(PATH, json=body(server), headers=mine),
            client.get("/apiops/projects/Shop/connections/?type=email", headers=mine),
            client.get(PATH, headers=theirs),
            client.post(f"{PATH}test/", headers=mine),
            client.put(PATH, json=body(server, port="wrong", password=PASSWORD), headers=mine),
            client.put(PATH, data=f'{{"password": "{PASSWORD}", broken', headers=mine),
            client.get("/api/v1/smtp-configurations", headers=mine),
            service.post("/api/v1/emails?smtpId=1000", headers=mine),
            # The server knows another password by then, so signing in fails.
            client.put(PATH, json=body(server, password=SECOND_PASSWORD), headers=mine),
            client.post(f"{PATH}test/", headers=mine),
            service.post("/api/v1/emails?smtpId=1000", headers=mine),
            client.get("/openapi.json"),
        ]
        showing = client.get(PATH, headers=mine)
        client.delete(PATH, headers=mine)
        office.registry.live.write_uses()
    assert [answer.status_code for answer in answers] == [
        200,
        400,
        200,
        200,
        200,
        400,
        400,
        200,
        201,
        200,
        200,
        502,
        200,
    ]
    assert showing.json is not None
    assert showing.json["resultList"][0]["password"] == SECOND_PASSWORD

    captured = capsys.readouterr()
    logged = captured.err + captured.out
    assert "canary" not in logged
    assert token not in logged
    assert "email sent" in logged
    for answer in answers:
        assert b"canary" not in answer.data
        assert token.encode() not in answer.data
    stored = everything_under(tmp_path)
    for secret in (PASSWORD, SECOND_PASSWORD, token, viewing):
        assert secret.encode() not in stored
    assert not re.search("canary", repr(vars(office.registry.live)) + repr(office), re.IGNORECASE)
    assert json.loads(answers[2].data)["resultList"][0]["password"] is None
