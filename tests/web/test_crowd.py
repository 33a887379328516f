"""Who comes while too many wait for an SMTP configuration is told so at the door, whichever one is named."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.emails.office import Office
from tests.conftest import MakeService, Service
from tests.smtp_server import SMTPServer

UNREADABLE = {"data": b"{", "content_type": "application/json"}
"""Its body would be a 400, if it were read."""


@pytest.fixture
def crowded(make_service: MakeService) -> Iterator[Service]:
    """A service whose second configuration has all the callers that may wait for it, here two."""
    with SMTPServer() as server, ExitStack() as waiting:
        service = make_service(
            smtp_configurations=(server.configuration(index=1), server.configuration(index=2)),
            reception_email="office@example.com",
            web_threads=2,
        )
        office: Office = service.app.extensions["letterbox"]
        for _ in range(2):
            waiting.enter_context(office.turnstile.passing(2))
        yield service


@pytest.mark.parametrize("query", ["smtpId=2", "SMTPID=2"])
def test_the_crowded_configuration_is_refused_before_the_body_is_read(crowded: Service, query: str) -> None:
    answer = crowded.post(f"/api/v1/emails?{query}", **UNREADABLE)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("query", ["", "smtpId=1", "smtpId=2&test=true", "smtpId=x", "smtpId=2&smtpId=1"])
def test_any_other_request_is_read(crowded: Service, query: str) -> None:
    assert crowded.post(f"/api/v1/emails?{query}", **UNREADABLE).status_code == 400


def test_a_key_or_a_queue_is_judged_where_the_answer_is_known(crowded: Service) -> None:
    for header in ({"Idempotency-Key": "one"}, {"Prefer": "respond-async"}):
        assert crowded.post("/api/v1/emails?smtpId=2", headers=header, **UNREADABLE).status_code == 400
