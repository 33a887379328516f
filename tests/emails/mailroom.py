"""A service with a project and emails of any kind, for the tests of lists."""

import re
from datetime import UTC, datetime
from typing import Any

from werkzeug.test import TestResponse

from app.connections import access, projects
from app.emails.office import Office
from app.model.access import Permission
from app.model.email import Email, Phase, Status
from app.storage import emails
from tests.conftest import Service

VIEW, SEND = Permission.EMAILS_VIEW, Permission.EMAILS_SEND
NOON = datetime(2026, 1, 7, 12, 0, 0, tzinfo=UTC)
NEXT = re.compile(r'<([^<>]+)>; rel="next"')


class Mailroom:
    """A service with a project, a token that may do all with its emails, and emails of any kind."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.office: Office = service.app.extensions["letterbox"]
        self.headers = self.headers_for("Mine")
        (project,) = projects.list_projects(self.office.registry)
        self.project_id = project.id

    def headers_for(self, project: str, *permissions: Permission) -> dict[str, str]:
        token = access.create_token(self.office.registry, project=project, permissions=permissions or (VIEW, SEND))
        return {"Authorization": f"Bearer {token}"}

    def put(self, email_id: str, created_at: datetime = NOON, **changes: Any) -> str:
        """Record an email as it looks once it is settled."""
        values: dict[str, Any] = {
            "status": Status.SENT,
            "phase": Phase.SETTLED,
            "requested_smtp_id": 1,
            "is_test": False,
            "reception_email": "a@x.example",
            "sender": "b@x.example",
            "project_id": self.project_id,
        }
        email = Email(id=email_id, created_at=created_at, **(values | changes))
        assert self.office.database.write(lambda connection: emails.add(connection, email, lease_until_ms=0))
        return email_id

    def get(self, path: str = "/api/v1/emails", **options: Any) -> TestResponse:
        return self.service.client.get(path, **({"headers": self.headers} | options))

    def ids(self, query: str = "") -> list[str]:
        return ids_of(self.get(f"/api/v1/emails{query}"))

    def errors(self, query: str) -> dict[str, list[str]]:
        answer = self.get(f"/api/v1/emails{query}")
        assert answer.status_code == 400
        assert answer.mimetype == "application/problem+json"
        assert answer.json is not None
        errors: dict[str, list[str]] = answer.json["errors"]
        return errors


def ids_of(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200, answer.data
    assert isinstance(answer.json, list)
    return [each["id"] for each in answer.json]


def next_of(answer: TestResponse) -> str | None:
    if "Link" not in answer.headers:
        return None
    match = NEXT.fullmatch(answer.headers["Link"])
    assert match is not None
    return match[1]
