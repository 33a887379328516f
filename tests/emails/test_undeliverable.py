"""What can never be sent: it fails at once, with the reason on record, instead of being tried for a day."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text, update

from app.connections import manage, projects
from app.emails import record
from app.emails.office import Office
from app.emails.queue import deliver_one, enqueue
from app.model.access import Caller, Permission
from app.model.email import Email, EmailRequest, Status
from app.model.form import Form
from app.model.outcome import Attempt, Outcome, Stage
from app.storage import emails
from app.storage.tables import connections, queued_messages
from tests.conftest import MakeService, valid_request
from tests.emails.mailroom import Mailroom
from tests.emails.test_queue import ASYNC, Clock
from tests.smtp_server import SMTPServer

FORM = Form(key="abcdefghjkmnpqrstuvw", name="Contact", recipients=("owner@example.com",), smtp_id=1000)


class Project:
    """A project with connections of its own, each to a scripted server, in a service with another server."""

    def __init__(self, make_service: MakeService, own: SMTPServer, **settings: Any) -> None:
        self.clock = Clock()
        values = {
            "smtp_configurations": (own.configuration(),),
            "reception_email": "office@example.com",
            "secret_keys": ("the key of these tests, long enough",),
            "connection_ports": tuple(range(1024, 65536)),
        }
        self.mailroom = Mailroom(make_service(clock=self.clock, **(values | settings)))
        self.office: Office = self.mailroom.office
        self.caller = Caller(
            token_id=1,
            token_name="deploy-bot",
            project_id=self.mailroom.project_id,
            project="Mine",
            permissions=frozenset(Permission),
        )

    def body(self, server: SMTPServer, name: str, **fields: Any) -> dict[str, Any]:
        plain = {"type": "email", "name": name, "enableStartTls": False, "auth": False, "from": "web@example.com"}
        return plain | {"host": server.host, "port": server.port} | fields

    def connect(self, server: SMTPServer, name: str = "mail", **fields: Any) -> int:
        """The smtpId of a new connection."""
        body = self.body(server, name, **fields)
        return manage.create_connection(self.office.registry, self.caller, name, body).smtp_index

    def post(self, smtp_id: int, **query: str) -> str:
        """The id of an email that is queued."""
        asked = "&".join(f"{name}={value}" for name, value in {"smtpId": smtp_id, **query}.items())
        answer = self.mailroom.service.post(
            f"/api/v1/emails?{asked}",
            json=valid_request(To=["anna@example.com"]),
            headers=self.mailroom.headers | ASYNC,
        )
        assert answer.status_code == 202, answer.data
        assert answer.json is not None
        return str(answer.json["id"])

    def work_off(self) -> list[Email]:
        return [deliver_one(self.office, email) for email in record.claim(self.office, limit=100)]

    def last_attempt(self, email_id: str) -> Attempt:
        email = self.office.database.read(lambda connection: emails.find(connection, email_id))
        assert email is not None
        return email.attempts[-1]


@pytest.fixture
def server() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture
def project(make_service: MakeService, server: SMTPServer) -> Project:
    return Project(make_service, server)


def _delete(project: Project, _: SMTPServer) -> None:
    manage.delete_connection(project.office.registry, project.caller, "mail")


def _disable(project: Project, server: SMTPServer) -> None:
    body = project.body(server, "mail", enabled=False)
    manage.update_connection(project.office.registry, project.caller, "mail", body)


def _delete_project(project: Project, _: SMTPServer) -> None:
    projects.delete_project(project.office.registry, "Mine")


def _lose_key(project: Project, _: SMTPServer) -> None:
    statement = update(connections).values(sealed="v1.00000000.AAAA")
    project.office.database.write(lambda connection: connection.execute(statement) and None)
    # Any change makes the processes read the connections anew.
    project.mailroom.headers_for("Another")


@pytest.mark.parametrize(
    ("take_away", "reason"),
    [(_delete, "deleted"), (_disable, "disabled"), (_delete_project, "deleted"), (_lose_key, "cannot be decrypted")],
)
def test_mail_whose_connection_was_taken_away_fails_with_the_reason(
    project: Project,
    server: SMTPServer,
    take_away: Callable[[Project, SMTPServer], None],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    smtp_id = project.connect(server)
    email_id = project.post(smtp_id)
    take_away(project, server)
    (failed,) = project.work_off()
    assert (failed.status, failed.next_attempt_at) == (Status.FAILED, None)
    attempt = project.last_attempt(email_id)
    assert (attempt.smtp_id, attempt.outcome) == (smtp_id, Outcome.SERVER_AT_FAULT)
    assert reason in attempt.detail
    assert reason in caplog.text
    assert server.messages == [], "no mail of a project leaves through another's server"


@pytest.mark.parametrize("take_away", [_delete, _delete_project])
def test_mail_that_waits_for_another_attempt_does_not_wait_for_a_connection_that_is_gone(
    make_service: MakeService, take_away: Callable[[Project, SMTPServer], None]
) -> None:
    with SMTPServer(faults={"MAIL": "451 4.3.0 later"}) as server:
        project = Project(make_service, server)
        project.post(project.connect(server))
        assert [email.status for email in project.work_off()] == ["Deferred"]
        assert project.work_off() == []
        take_away(project, server)
        assert [email.status for email in project.work_off()] == ["Failed"]


def test_mail_that_waits_goes_at_once_when_its_connection_is_put_right(
    make_service: MakeService, server: SMTPServer
) -> None:
    with SMTPServer(faults={"MAIL": "550 5.7.1 not from you"}) as broken:
        project = Project(make_service, broken)
        project.post(project.connect(broken))
        assert [email.status for email in project.work_off()] == ["Deferred"]
        manage.update_connection(project.office.registry, project.caller, "mail", project.body(server, "mail"))
        assert [email.status for email in project.work_off()] == ["Sent"]


def test_the_rest_of_the_group_carries_what_was_queued_for_a_server_that_is_gone(
    make_service: MakeService, server: SMTPServer
) -> None:
    with SMTPServer() as other, SMTPServer() as configured:
        project = Project(
            make_service, configured, smtp_configurations=(configured.configuration(1), configured.configuration(2))
        )
        through_connection, through_setting = project.post(project.connect(server)), project.post(2)
        project.connect(other, "other")
        _delete(project, server)
        settings = replace(project.office.settings, smtp_configurations=(configured.configuration(1),))
        project.office = replace(project.office, settings=settings)
        assert {email.id: email.status for email in project.work_off()} == {
            through_connection: "Sent",
            through_setting: "Sent",
        }
        assert (len(server.messages), len(other.messages), len(configured.messages)) == (0, 1, 1)


def test_a_submission_whose_connection_is_gone_reaches_the_forms_owner_all_the_same(
    project: Project, server: SMTPServer
) -> None:
    with SMTPServer() as own:
        form = replace(FORM, project_id=project.mailroom.project_id)
        project.connect(own)
        request = EmailRequest(email="visitor@example.com", message="Hello!")
        enqueue(project.office, request, form=form, smtp_id=1000)
        _delete_project(project, own)
        assert [email.status for email in project.work_off()] == ["Sent"]
        assert (len(own.messages), len(server.messages)) == (0, 1)


def test_a_test_mail_whose_test_account_is_gone_fails(project: Project, server: SMTPServer) -> None:
    email_id = project.post(project.connect(server, addressToTest="me@example.com"), test="true")
    manage.update_connection(project.office.registry, project.caller, "mail", project.body(server, "mail"))
    assert [email.status for email in project.work_off()] == ["Failed"]
    assert "test account" in project.last_attempt(email_id).detail


@pytest.mark.parametrize("content", [b"Subject: x\n\nbare line ends\n", b"Subject: x\r\n\r\n" + b"a" * 999, b"\0"])
def test_a_message_that_is_not_fit_for_the_wire_fails_at_once(
    project: Project, server: SMTPServer, content: bytes
) -> None:
    email_id = project.post(1)
    project.office.database.write(
        lambda connection: connection.execute(update(queued_messages).values(content=content)) and None
    )
    assert [email.status for email in project.work_off()] == ["Failed"]
    attempt = project.last_attempt(email_id)
    assert (attempt.outcome, attempt.stage) == (Outcome.MESSAGE_REFUSED, Stage.MESSAGE)
    assert server.received == []


def test_an_email_whose_message_is_gone_fails_at_once(project: Project) -> None:
    email_id = project.post(1)
    project.office.database.write(lambda connection: connection.execute(text("DELETE FROM queued_messages")) and None)
    assert [email.status for email in project.work_off()] == ["Failed"]
    assert "gone" in project.last_attempt(email_id).detail


def test_a_worker_that_was_given_up_takes_no_lease_from_the_one_that_has_the_email_now(project: Project) -> None:
    project.post(1)
    (frozen,) = record.claim(project.office)
    project.clock.now += record.LEASE + timedelta(seconds=1)
    record.settle_abandoned(project.office)
    (living,) = record.claim(project.office)
    project.office.database.write(lambda connection: connection.execute(text("DELETE FROM queued_messages")) and None)
    deliver_one(project.office, frozen)
    assert project.office.under_way == {living.id: living}
