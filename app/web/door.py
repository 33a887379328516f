"""The door of every route: who is it, is it welcome, which version; before any body is read.

What sends, and everything under `/api` and `/apiops`, counts in one budget; pages, form tokens and the like in another.
Probes and files that never change do not count.
"""

import re
from functools import lru_cache

from flask import Flask, Request
from werkzeug.exceptions import NotAcceptable, NotFound

from app.emails.office import Office
from app.guards.admission import Admission, Verdict
from app.guards.client_address import client_key
from app.model.access import Caller
from app.web.authentication import demand_access, identify
from app.web.body_reads import SMALL_BODY, TOKEN, TURN
from app.web.current import current_globals, current_request
from app.web.header_limits import demand_small_head
from app.web.media_types import JSON, accepts_json, require_no_content_coding
from app.web.preferences import wants_async
from app.web.surfaces import Surface, surface
from app.web.versions import APICall, api_call

THROTTLE_RETRY_AFTER_S = 60
_ONLY_SMTP_ID = re.compile(rb"smtpId=([0-9]{1,9})", re.IGNORECASE)
_PROBES = frozenset({"/test", "/health/live", "/health/ready", "/metrics"})
_FILES = frozenset({"assets", "static"})
"""Segments of the routes of scripts, styles and images."""
SENDING = "emails.create_email"
"""The endpoint whose callers wait for SMTP servers."""


class ClientBlocked(Exception):
    """The client's address is blocked."""


class ClientThrottled(Exception):
    """The client has used its requests."""

    def __init__(self, retry_after_s: int = THROTTLE_RETRY_AFTER_S) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"again in {retry_after_s} s")


class VersionMissing(Exception):
    """No version was named."""


class VersionUnsupported(Exception):
    """The resource does not have the named version."""

    def __init__(self, call: APICall) -> None:
        self.call = call
        super().__init__(call.requested)


def register(app: Flask, office: Office) -> None:
    """Count every request but preflights, then check what the client says of itself."""

    @app.before_request
    def come_in() -> None:
        where = surface()
        request = current_request()
        if where in (Surface.API, Surface.APIOPS):
            who = _identify(office, request)
            _count(office, who, request)
            demand_small_head()
        else:
            if not _is_uncounted(request):
                _count_visitor(office, request, is_form=where is Surface.FORMS)
            demand_small_head()
            if where is Surface.FORMS and request.method == "POST":
                _check_content_coding(request)
            return
        if (call := api_call()) is not None:
            _check_version(call)
        demand_access()
        _check_accept(request)
        _check_content_coding(request)
        _take_a_turn(office, request)

    @app.teardown_request
    def go(_: BaseException | None) -> None:
        turn = current_request().environ.pop(TURN, None)
        if turn is not None:
            office.turnstile.end(turn)


def _is_uncounted(request: Request) -> bool:
    """Whether the route is a probe's or that of a static file."""
    rule = request.url_rule
    return rule is not None and (rule.rule in _PROBES or _is_file(rule.rule))


@lru_cache(maxsize=256)
def _is_file(rule: str) -> bool:
    return not _FILES.isdisjoint(rule.split("/"))


def _count_visitor(office: Office, request: Request, *, is_form: bool) -> None:
    """Raises ClientBlocked and ClientThrottled."""
    # The owner's page of a form takes tokens, which can be guessed there as well as anywhere else.
    shows_token = is_form and "HTTP_AUTHORIZATION" in request.environ
    who = _identify(office, request) if shows_token else None
    try:
        _count(office, who, request, is_page=not shows_token and (not is_form or request.method != "POST"))
    except ClientBlocked:
        if is_form:
            # No form is looked up for it; that the visitor is blocked is no secret from the page that they are on.
            current_globals().form_origins = frozenset({request.environ.get("HTTP_ORIGIN", "")})
        raise


def _count(office: Office, who: Caller | None, request: Request, *, is_page: bool = False) -> None:
    """Raises ClientBlocked and ClientThrottled."""
    if not office.settings.guards.rate_limit_enabled:
        return
    current_globals().admission = admission = _admit(office, who, request, is_page=is_page)
    if admission.verdict is Verdict.BLOCKED:
        raise ClientBlocked
    if admission.verdict is Verdict.THROTTLED:
        # At least what the contract says for addresses; never earlier than `RateLimit` says for a longer window.
        raise ClientThrottled(admission.wait_s if who else max(THROTTLE_RETRY_AFTER_S, admission.wait_s))


def _admit(office: Office, who: Caller | None, request: Request, *, is_page: bool) -> Admission:
    """Counted per token when there is a valid one, else per address: behind one address there are many callers."""
    if who is not None:
        return office.gate.admit_token(who.token_id)
    client = _client(office, request)
    return office.gate.admit_page(client) if is_page else office.gate.admit(client)


def _client(office: Office, request: Request) -> str:
    return client_key(
        request.environ.get("REMOTE_ADDR", ""),
        request.environ.get("HTTP_X_FORWARDED_FOR", ""),
        office.settings.guards.trusted_proxies,
    )


def _identify(office: Office, request: Request) -> Caller | None:
    """The caller with a valid token. A blocked client that shows one wrong token after the other costs no look-ups."""
    who = identify(office.registry.live, may_ask=lambda: office.gate.may_ask_for_token(_client(office, request)))
    if who is not None:
        request.environ[TOKEN] = who.token_id
    return who


def _take_a_turn(office: Office, request: Request) -> None:
    """Say that too many wait for an SMTP configuration before the body is read, which would cost the most of it.

    A request with a key that may have an answer, or for a queue, is judged where that is known. Raises Overloaded.
    """
    if request.endpoint != SENDING or "HTTP_IDEMPOTENCY_KEY" in request.environ or wants_async():
        return
    smtp_id = office.settings.smtp_configurations[0].index
    if request.query_string:
        named = _ONLY_SMTP_ID.fullmatch(request.query_string)
        if named is None:
            return
        smtp_id = int(named[1])
    turn = office.turnstile.admit(smtp_id)
    if (request.content_length or SMALL_BODY + 1) > SMALL_BODY:
        # Its body may take a while to arrive, and nobody's place is kept until then.
        office.turnstile.end(turn)
        return
    request.environ[TURN] = turn
    office.turnstile.work(turn)


def _check_version(call: APICall) -> None:
    if not call.requested:
        raise VersionMissing
    if call.version is None:
        if not call.is_known:
            raise NotFound
        raise VersionUnsupported(call)


def _check_content_coding(request: Request) -> None:
    coding = request.environ.get("HTTP_CONTENT_ENCODING")
    if coding is not None:
        require_no_content_coding(coding)


def _check_accept(request: Request) -> None:
    accept = request.environ.get("HTTP_ACCEPT")
    if accept not in (None, "*/*", JSON) and not accepts_json(accept):
        raise NotAcceptable("This API answers with application/json.")
