"""`/api/v1/emails`: send an email, look one up, list those of a project."""

from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from flask import Response, after_this_request, jsonify
from marshmallow import Schema, fields

from app.api.documentation import APIBlueprint, MessageSchema
from app.api.email_request import email_request_schema
from app.api.queries import ListingQuerySchema, SendingQuerySchema
from app.emails.idempotency import earlier_email
from app.emails.look_up import list_emails, look_up
from app.emails.office import Office
from app.emails.queue import enqueue
from app.emails.send import answer, send
from app.errors import KeyInUse, KeyTaken
from app.model.access import Permission
from app.model.email import Email, EmailRequest, Status
from app.model.outcome import Outcome, Stage
from app.storage.idempotency import IdempotencyKey
from app.web.authentication import access, caller, required_caller
from app.web.body_reads import TURN
from app.web.current import current_request
from app.web.preferences import REPLAYED, idempotency_key, wants_async
from app.web.versions import location_of, page_of

_MOST_TRIES = 5
"""Of one request whose key others take and give back at the same time."""


class AttemptSchema(Schema):
    """One try at one SMTP configuration."""

    smtpId = fields.Integer(required=True)  # noqa: N815 - the wire's names
    outcome = fields.Enum(Outcome, by_value=True, required=True)
    stage = fields.Enum(Stage, by_value=True, required=True)
    startedAt = fields.DateTime(required=True)  # noqa: N815
    durationMs = fields.Integer(required=True)  # noqa: N815


class EmailSchema(Schema):
    """The record of one email."""

    id = fields.String(required=True, metadata={"example": "A3F2B1C9", "pattern": "^[0-9A-F]{8}$"})
    status = fields.Enum(Status, by_value=True, required=True)
    requestedSmtpId = fields.Integer(required=True)  # noqa: N815
    isTest = fields.Boolean(required=True)  # noqa: N815
    createdAt = fields.DateTime(required=True, metadata={"example": "2026-01-07T12:34:56.789Z"})  # noqa: N815
    receptionEmail = fields.String(required=True)  # noqa: N815
    deliveredSmtpId = fields.Integer(required=True, allow_none=True)  # noqa: N815
    nextAttemptAt = fields.DateTime(  # noqa: N815
        required=True, allow_none=True, metadata={"description": "When a worker tries next; null when it does not."}
    )
    attempts = fields.List(fields.Nested(AttemptSchema), required=True)
    refusedRecipients = fields.List(  # noqa: N815
        fields.String(),
        required=True,
        metadata={"description": "Who did not get an email that others got: the server refused them."},
    )


def blueprint(office: Office) -> APIBlueprint:
    """The routes, working with this office."""
    routes = APIBlueprint("emails", __name__, url_prefix="/api/v1/emails", description="Send emails and follow them.")
    request_schema = email_request_schema(office.settings.limits, office.templates.names)

    @routes.route("", methods=["POST"])
    @routes.query_and_body(SendingQuerySchema(), request_schema)
    @routes.response(201, EmailSchema(), description="A server has accepted the message; see Location.")
    @routes.problems(
        s400="A property is wrong, the sender has to wait, or the SMTP configuration is unknown.",
        s409="The first request with this key is still under way (see Retry-After), or its record was deleted.",
        s413="The body is larger than allowed.",
        s415="The body is not application/json, or it is compressed.",
        s422="The Idempotency-Key was used for another request.",
        s502="No server took the message, or none confirmed it.",
        s503="Too much is waiting, or the message could not be recorded: nothing was sent; see Retry-After.",
    )
    @routes.alt_response(
        202, schema=EmailSchema(), description="Stored, and to be delivered by a worker; see Location."
    )
    @routes.shared_answers
    @access(Permission.EMAILS_SEND, is_open=True)
    def create_email(query: dict[str, Any], request: EmailRequest) -> Response:
        """Send an email

        Answers when the SMTP server has answered. With the header `Prefer: respond-async` it answers 202 as soon as the
        email is stored, and workers deliver it, for up to 24 hours. With an `Idempotency-Key` a repeated request gets
        the answer of the first one, and nothing is sent twice.

        Without an access token the email goes to the configured recipient. A caller with one chooses the recipients,
        its HTML is sent as given, and smtpId can pick its project's connections.
        """
        key = idempotency_key(office.settings.guards)
        accept = enqueue if wants_async() else partial(send, turn=current_request().environ.get(TURN))
        for _ in range(_MOST_TRIES):
            # Where another request with the same key was a moment faster, its answer is this one's, too.
            with suppress(KeyTaken):
                return _accepted(_replayed(office, key) or accept(office, request, caller=caller(), key=key, **query))
        raise KeyInUse

    @routes.route("", methods=["GET"])
    @routes.arguments(ListingQuerySchema(), location="query")
    @routes.response(
        200,
        EmailSchema(many=True),
        headers={
            "Link": {"schema": {"type": "string"}, "description": 'The next page, `rel="next"`, if there is one.'}
        },
    )
    @routes.problems(s400="A parameter of the query cannot be read.", s503="The record could not be read.")
    @routes.shared_answers
    @access(Permission.EMAILS_VIEW)
    def list_emails_of_project(query: dict[str, Any]) -> Response:
        """List the emails that were sent with the access tokens of this project, newest first"""
        page = list_emails(office, required_caller(), **query)
        response = jsonify([resource(email) for email in page.emails])
        if page.next is not None:
            response.headers["Link"] = f'<{page_of("emails", cursor=str(page.next))}>; rel="next"'
        return response

    @routes.route("/<emailId>")
    @routes.response(200, EmailSchema())
    @routes.alt_response(404, schema=MessageSchema(), description="There is no such email.")
    @routes.problems(s503="The record could not be read; see Retry-After.")
    @routes.shared_answers
    @access(Permission.EMAILS_SEND, Permission.EMAILS_VIEW, is_open=True)
    def get_email(emailId: str) -> Response:  # noqa: N803 - the name in the OpenAPI document
        """Look an email up

        One that was sent with an access token is found with the tokens of that project only.
        """
        return jsonify(resource(look_up(office, emailId, caller())))

    return routes


def _replayed(office: Office, key: IdempotencyKey | None) -> Email | None:
    """What the first request with this key led to, as it was answered; None for a new key."""
    email = earlier_email(office, key) if key is not None else None
    if email is None:
        return None

    @after_this_request
    def say_so(response: Response) -> Response:
        response.headers[REPLAYED] = "true"
        return response

    return email if email.is_queued else answer(email)


def _accepted(email: Email) -> Response:
    response = jsonify(resource(email))
    response.headers["Location"] = location_of("emails", email.id)
    response.status_code = 201
    if email.is_queued:
        response.status_code = 202
        response.headers["Preference-Applied"] = "respond-async"
    return response


def resource(email: Email) -> dict[str, Any]:
    """The record as JSON, written out because a schema's dump costs more than all the rest of the answer."""
    return {
        "id": email.id,
        "status": email.status,
        "requestedSmtpId": email.requested_smtp_id,
        "isTest": email.is_test,
        "createdAt": _written(email.created_at),
        "receptionEmail": email.reception_email,
        "deliveredSmtpId": email.delivered_smtp_id,
        "nextAttemptAt": None if email.next_attempt_at is None else _written(email.next_attempt_at),
        "attempts": [
            {
                "smtpId": attempt.smtp_id,
                "outcome": attempt.outcome,
                "stage": attempt.stage,
                "startedAt": _written(attempt.started_at),
                "durationMs": attempt.duration_ms,
            }
            for attempt in email.attempts
        ],
        "refusedRecipients": email.refused_recipients,
    }


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
