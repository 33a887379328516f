"""Who calls, and whether a route lets it in. Every view says so with `access`; a view that says nothing is closed.

A token is read at the door, where limits need to know it, and judged there once the guards and the version have let the
request through (spec: email-api, "Who is calling"; connections-api, section 5).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import current_app

from app.connections.live import Live
from app.errors import PermissionMissing, ProjectNotFound, TokenInvalid
from app.model.access import Caller, Permission
from app.model.names import name_key
from app.web.current import current_globals, current_request

View = TypeVar("View", bound=Callable[..., Any])

_RULE = "access_rule"


@dataclass(frozen=True, slots=True)
class AccessRule:
    """What a view asks of its caller: one of `permissions`, where there are any; a token at all, unless `is_open`."""

    permissions: tuple[Permission, ...]
    is_open: bool


def access(*permissions: Permission, is_open: bool = False) -> Callable[[View], View]:
    """Say who may call a view: a token with one of `permissions`. `is_open` lets those in who show none."""

    def decorate(view: View) -> View:
        setattr(view, _RULE, AccessRule(permissions, is_open))
        return view

    return decorate


def access_rule(view: Callable[..., Any]) -> AccessRule | None:
    """What `access` said of a view, through the decorators around it; None when it said nothing."""
    rule: AccessRule | None = getattr(view, _RULE, None)
    return rule


def identify(live: Live, *, may_ask: Callable[[], bool]) -> Caller | None:
    """The caller whose token the request shows; None without a valid one. `demand_access` tells the two apart.

    `may_ask` says whether the database may be asked for a token that is not remembered; None where it may not.
    """
    g = current_globals()
    g.caller = None
    scheme, _, token = current_request().environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if scheme.lower() == "bearer" and (token := token.strip()):
        if not live.remembers(token) and not may_ask():
            return None
        try:
            g.caller = live.caller(token)
        except TokenInvalid:
            # It is said once the guards have counted the request for the client's address.
            return None
    who: Caller | None = g.caller
    return who


def demand_access() -> None:
    """Raises TokenInvalid, PermissionMissing and, for a project that the token knows nothing of, ProjectNotFound."""
    request = current_request()
    if request.endpoint is None:
        return
    rule = access_rule(current_app.view_functions[request.endpoint])
    who = caller()
    if who is None:
        if rule is None or not rule.is_open or _shows_credentials(rule):
            raise TokenInvalid
        return
    project = (request.view_args or {}).get("projectName")
    if project is not None and name_key(project) != name_key(who.project):
        raise ProjectNotFound(project)
    if rule is None or (rule.permissions and not who.may(*rule.permissions)):
        raise PermissionMissing(*(rule.permissions if rule else ()))


def _shows_credentials(rule: AccessRule) -> bool:
    """Whether the request shows credentials, of which none were good: such a caller never counts as nobody.

    Other schemes than Bearer are a slip, except where no permission is asked for and the view may read them itself.
    """
    authorization = current_request().environ.get("HTTP_AUTHORIZATION")
    return authorization is not None and (bool(rule.permissions) or authorization[:6].lower() == "bearer")


def caller() -> Caller | None:
    """Who calls; None is anybody."""
    who: Caller | None = current_globals().get("caller")
    return who


def required_caller() -> Caller:
    """Who calls, in a view that is closed to callers without a token."""
    who = caller()
    if who is None:
        raise TokenInvalid
    return who
