"""The door of `/api`: who is it, is it welcome, which version, which format; before any body is read."""

from flask import Flask, g, request
from werkzeug.exceptions import NotAcceptable, NotFound

from app.guards.admission import Verdict
from app.guards.client_address import client_key
from app.guards.gate import Gate
from app.settings import GuardSettings
from app.web.versions import APICall, api_call

THROTTLE_RETRY_AFTER_S = 60


class ClientBlocked(Exception):
    """The client's address is blocked."""


class ClientThrottled(Exception):
    """The client has used its requests."""

    retry_after_s = THROTTLE_RETRY_AFTER_S


class VersionMissing(Exception):
    """No version was named."""


class VersionUnsupported(Exception):
    """The resource does not have the named version."""

    def __init__(self, call: APICall) -> None:
        self.call = call
        super().__init__(call.requested)


def register(app: Flask, *, gate: Gate, guards: GuardSettings) -> None:
    """Count every request to `/api` but preflights, then check what the client says of versions and formats."""

    @app.before_request
    def come_in() -> None:
        call = api_call()
        if call is None:
            return
        if guards.rate_limit_enabled:
            client = client_key(
                request.environ.get("REMOTE_ADDR", ""),
                request.environ.get("HTTP_X_FORWARDED_FOR", ""),
                guards.trusted_proxies,
            )
            g.admission = gate.admit(client)
            if g.admission.verdict is Verdict.BLOCKED:
                raise ClientBlocked
            if g.admission.verdict is Verdict.THROTTLED:
                raise ClientThrottled
        _check_version(call)
        _check_accept()


def _check_version(call: APICall) -> None:
    if not call.requested:
        raise VersionMissing
    if call.version is None:
        if not call.is_known:
            raise NotFound
        raise VersionUnsupported(call)


def _check_accept() -> None:
    accept = request.headers.get("Accept")
    if accept in (None, "*/*", "application/json"):
        return
    if not request.accept_mimetypes.best_match(("application/json", "application/problem+json")):
        raise NotAcceptable("This API answers with application/json.")
