"""What each error looks like under `/apiops`: `{"error", "error_description"}` (spec: connections-api, section 5).

The seeds took the form from OAuth 2 (RFC 6749, section 5.2); `refusal` makes it, for the views of `/apiops` too.
"""

from typing import Any

import structlog
from flask import Response, jsonify, request
from werkzeug.exceptions import HTTPException

from app import errors
from app.web.door import ClientBlocked, ClientThrottled

log = structlog.get_logger(__name__)

RECORD_RETRY_AFTER_S = 5


def refusal(status: int, error: str, description: str, *, headers: dict[str, str] | None = None) -> Response:
    """The body of everything that is not a success. `description` is a sentence for a person, without secrets."""
    response = jsonify({"error": error, "error_description": description})
    response.status_code = status
    response.headers.update(headers or {})
    return response


def _invalid(error: errors.RequestInvalid | errors.ConnectionInvalid) -> Response:
    sentences = (sentence for sentences in error.errors.values() for sentence in sentences)
    return refusal(400, "bad_request", " ".join(dict.fromkeys(sentences)))


def _exists(error: errors.ConnectionExists) -> Response:
    return refusal(400, "bad_request", str(error))


def _connection_not_found(error: errors.ConnectionNotFound) -> Response:
    # The contract calls a change of what is not there a bad request, and only a look at it "not found".
    if request.method in ("PUT", "DELETE"):
        return refusal(400, "bad_request", str(error))
    return refusal(404, "not_found", str(error))


def _project_not_found(error: errors.ProjectNotFound) -> Response:
    return refusal(404, "not_found", str(error))


def _token_invalid(error: errors.TokenInvalid) -> Response:
    return refusal(401, "unauthorized_client", str(error), headers={"WWW-Authenticate": bearer_challenge()})


def bearer_challenge() -> str:
    """`WWW-Authenticate` of a 401 (RFC 6750, section 3); who showed no token is not told that it was a bad one."""
    return 'Bearer realm="Letterbox"' + (', error="invalid_token"' if "Authorization" in request.headers else "")


def _client_rejected(error: errors.ClientRejected) -> Response:
    return refusal(401, "unauthorized_client", str(error), headers={"WWW-Authenticate": 'Basic realm="Letterbox"'})


def _permission_missing(error: errors.PermissionMissing) -> Response:
    return refusal(403, "forbidden", str(error))


def _record_unavailable(error: errors.RecordUnavailable) -> Response:
    log.error("record unavailable", cause=str(error.__cause__ or error))
    description = "The database does not answer, so nothing was changed. Please try again in a moment."
    return refusal(503, "temporarily_unavailable", description, headers={"Retry-After": str(RECORD_RETRY_AFTER_S)})


def _record_conflict(_: errors.RecordConflict) -> Response:
    return refusal(409, "conflict", "Somebody else has just changed or deleted what this belongs to.")


def _unreadable(error: errors.ConnectionUnreadable) -> Response:
    log.error("a connection cannot be decrypted", connection=error.name)
    return refusal(503, "temporarily_unavailable", str(error), headers={"Retry-After": str(RECORD_RETRY_AFTER_S)})


def _overloaded(error: errors.Overloaded) -> Response:
    retry_after = str(error.retry_after_s)
    return refusal(503, "temporarily_unavailable", str(error), headers={"Retry-After": retry_after})


def _blocked(_: ClientBlocked) -> Response:
    return refusal(403, "forbidden", "Your IP address has been blocked due to suspicious activity.")


def _throttled(error: ClientThrottled) -> Response:
    headers = {"Retry-After": str(error.retry_after_s)}
    return refusal(429, "too_many_requests", "Too many requests. Please try again later.", headers=headers)


def _http(error: HTTPException) -> Response:
    headers = {
        name: value for name, value in error.get_headers() if name.lower() not in ("content-type", "content-length")
    }
    code = error.name.lower().replace(" ", "_")
    return refusal(error.code or 500, code, error.description or error.name, headers=headers)


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return refusal(500, "internal_error", "An unexpected error has occurred. Please try again later.")


HANDLERS: dict[type[Exception], Any] = {
    errors.RequestInvalid: _invalid,
    errors.ConnectionInvalid: _invalid,
    errors.ConnectionExists: _exists,
    errors.ConnectionNotFound: _connection_not_found,
    errors.ProjectNotFound: _project_not_found,
    errors.TokenInvalid: _token_invalid,
    errors.ClientRejected: _client_rejected,
    errors.PermissionMissing: _permission_missing,
    errors.RecordUnavailable: _record_unavailable,
    errors.RecordConflict: _record_conflict,
    errors.ConnectionUnreadable: _unreadable,
    errors.Overloaded: _overloaded,
    ClientBlocked: _blocked,
    ClientThrottled: _throttled,
    HTTPException: _http,
    Exception: _unexpected,
}
