"""What each error looks like to a caller: problem+json (RFC 9457) and the contract's other forms.

One table per surface: `/apiops` has its own in `apiops_errors`, everything else the one at the end of this file. The
only place, with the surfaces, that knows HTTP statuses.
"""

import math
from random import randint
from typing import Any

import structlog
from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from app import errors
from app.guards.cooldown import wait_sentence
from app.web import apiops_errors
from app.web.apiops_errors import RECORD_RETRY_AFTER_S, bearer_challenge
from app.web.application import FinishedAnswer
from app.web.current import current_globals
from app.web.door import ClientBlocked, ClientThrottled, VersionMissing, VersionUnsupported
from app.web.surfaces import Surface, surface

log = structlog.get_logger(__name__)

KEY_RETRY_AFTER_S = 2
"""When the first request with an idempotency key may be over."""

_UNEXPECTED = {"error": "An unexpected error has occurred. Please try again later."}


def problem(status: int, title: str, detail: str | None = None, **members: Any) -> Response:
    """A problem document of the RFC's members and `traceId`, which is also in the log."""
    document: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    if detail is not None:
        document["detail"] = detail
    document |= members
    document["traceId"] = current_globals().request_id
    response = jsonify(document)
    response.status_code = status
    response.mimetype = "application/problem+json"
    return response


def register(app: Flask) -> None:
    """Install the one handler of every error that can leave a view."""
    app.register_error_handler(Exception, _answer)


def _answer(error: Exception) -> Response:
    """In the form of the surface that was called; of an error's classes the nearest one in the table decides."""
    handlers = apiops_errors.HANDLERS if surface() is Surface.APIOPS else _HANDLERS
    handler = next(handlers[each] for each in type(error).__mro__ if each in handlers)
    response: Response = handler(error)
    return response


def _validation(error: errors.RequestInvalid) -> Response:
    return problem(400, "One or more validation errors occurred.", errors=error.errors)


def _bad_request(error: errors.LetterboxError) -> Response:
    return problem(400, "Bad request", str(error))


def _cooldown(error: errors.CooldownActive) -> Response:
    response = problem(400, "Bad request", wait_sentence(error.wait_s, error.usage))
    response.headers["Retry-After"] = str(max(1, math.ceil(error.wait_s)))
    return response


def _token_invalid(error: errors.TokenInvalid) -> Response:
    response = problem(401, "Unauthorized", str(error))
    response.headers["WWW-Authenticate"] = bearer_challenge()
    return response


def _permission_missing(error: errors.PermissionMissing) -> Response:
    return problem(403, "Forbidden", str(error))


def _overloaded(error: errors.Overloaded) -> Response:
    response = problem(503, "Service unavailable", str(error))
    # Spread out, so that those who were refused together do not come back together.
    response.headers["Retry-After"] = str(randint(error.retry_after_s, 3 * error.retry_after_s))  # noqa: S311
    return response


def _key_mismatch(error: errors.KeyMismatch) -> Response:
    return problem(422, "Unprocessable Content", str(error))


def _key_in_use(error: errors.KeyInUse) -> Response:
    response = problem(409, "Conflict", str(error))
    response.headers["Retry-After"] = str(KEY_RETRY_AFTER_S)
    return response


def _key_record_gone(error: errors.KeyRecordGone) -> Response:
    return problem(409, "Conflict", str(error))


def _email_not_found(error: errors.EmailNotFound) -> Response:
    return not_found(f"Email '{error.email_id}' was not found.")


def not_found(message: str) -> Response:
    """The contract's body for an item that does not exist."""
    response = jsonify({"message": message})
    response.status_code = 404
    return response


def _record_unavailable(error: errors.RecordUnavailable) -> Response:
    log.error("record unavailable", cause=str(error.__cause__ or error))
    response = problem(503, "Service unavailable", str(error))
    response.headers["Retry-After"] = str(RECORD_RETRY_AFTER_S)
    return response


def _record_conflict(_: errors.RecordConflict) -> Response:
    return problem(409, "Conflict", "Somebody else has just changed or deleted what this belongs to.")


def _delivery_failed(error: errors.DeliveryFailed) -> Response:
    detail = "Failed to send email after trying all available SMTP configurations."
    return problem(502, "Email delivery failed", detail, emailId=error.email.id)


def _delivery_uncertain(error: errors.DeliveryUncertain) -> Response:
    detail = (
        "The message was handed to the SMTP server, which did not confirm it: it may have been delivered. "
        "It will not be sent again."
    )
    return problem(502, "Email delivery uncertain", detail, emailId=error.email.id)


def _blocked(_: ClientBlocked) -> Response:
    text = "Your IP address has been blocked due to suspicious activity."
    return FinishedAnswer(text, status=403, mimetype="text/plain")


def _throttled(error: ClientThrottled) -> Response:
    response = FinishedAnswer("Too many requests. Please try again later.", status=429, mimetype="text/plain")
    response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _version_missing(_: VersionMissing) -> Response:
    response = jsonify(
        {
            "status": 400,
            "title": "API Version Required",
            "detail": "Name the API version in the URL path, in the query string or in a header.",
            "example": {
                "urlPath": "/api/v1/resource",
                "queryString": "?api-version=1.0",
                "header": "X-Version: 1.0",
            },
        }
    )
    response.status_code = 400
    return response


def _version_unsupported(error: VersionUnsupported) -> Response:
    response = jsonify(
        {
            "status": 404,
            "title": "Unsupported API Version",
            "detail": f"The resource '{error.call.resource}' does not have this version.",
            "requestedVersion": error.call.requested,
            "supportedVersions": list(error.call.supported),
        }
    )
    response.status_code = 404
    return response


def _http(error: HTTPException) -> Response:
    response = problem(error.code or 500, error.name, error.description)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    response = jsonify(_UNEXPECTED)
    response.status_code = 500
    return response


_HANDLERS: dict[type[Exception], Any] = {
    errors.RequestInvalid: _validation,
    errors.SMTPConfigurationNotFound: _bad_request,
    errors.TestAccountMissing: _bad_request,
    errors.CooldownActive: _cooldown,
    errors.Overloaded: _overloaded,
    errors.KeyMismatch: _key_mismatch,
    errors.KeyInUse: _key_in_use,
    errors.KeyRecordGone: _key_record_gone,
    errors.EmailNotFound: _email_not_found,
    errors.TokenInvalid: _token_invalid,
    errors.PermissionMissing: _permission_missing,
    errors.RecordUnavailable: _record_unavailable,
    errors.RecordConflict: _record_conflict,
    errors.DeliveryFailed: _delivery_failed,
    errors.DeliveryUncertain: _delivery_uncertain,
    ClientBlocked: _blocked,
    ClientThrottled: _throttled,
    VersionMissing: _version_missing,
    VersionUnsupported: _version_unsupported,
    HTTPException: _http,
    Exception: _unexpected,
}
