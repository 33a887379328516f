"""The OpenAPI document at `/openapi.json`: one, to which every surface adds its blueprints.

What `access` says of a view is read off into the document here, so that no operation can forget to say it.
"""

import json
from collections.abc import Callable
from functools import cached_property, partial
from hashlib import sha256
from threading import Lock
from typing import Any, TypeVar

from apispec import BasePlugin
from flask import Flask, Response
from flask_smorest import Api, Blueprint
from marshmallow import Schema, fields
from werkzeug.routing import Rule

from app.web.authentication import access_rule
from app.web.current import current_request

View = TypeVar("View", bound=Callable[..., Any])

_EXTENSION = "letterbox.openapi"

_DESCRIPTION = """\
Letterbox sends one email per request and answers with the truth: `Sent`, failed, or uncertain.

Every call under `/api` names an API version: in the path (`/api/v1/...`, as below), in the query
(`/api/...?api-version=1.0`) or in the header `X-Version: 1.0`. A form on a public page shows no token; a backend shows
its access token (`Authorization: Bearer ...`) and may do more.

Under `/apiops` a project keeps its connections. Everything there needs an access token, made with
`letterbox tokens create`, or with `letterbox clients create` and `POST /apiops/auth/token`.
"""

_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "An access token of a project.",
}


class ProblemSchema(Schema):
    """A problem document (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String()
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "Property, as documented, to sentences; only for validation errors."},
    )
    emailId = fields.String(metadata={"description": "Only when a delivery failed."})  # noqa: N815 - the wire's name
    traceId = fields.String(  # noqa: N815
        required=True, metadata={"description": "Also in the service's log and in X-Request-ID."}
    )


def openapi(app: Flask, *, public_url: str | None) -> "OpenAPI":
    """The app's document; made when the first surface asks for it. Without `public_url` its paths are the host's."""
    if _EXTENSION not in app.extensions:
        app.config.update(
            API_TITLE="Letterbox",
            API_VERSION="1.0",
            OPENAPI_VERSION="3.0.3",
            OPENAPI_URL_PREFIX="/",
            OPENAPI_JSON_PATH="openapi.json",
            API_SPEC_OPTIONS={"info": {"description": _DESCRIPTION}}
            | ({"servers": [{"url": public_url}]} if public_url else {}),
        )
        document = OpenAPI(app, spec_kwargs={"extra_plugins": [_AccessPlugin(app)]})
        document.spec.components.security_scheme("token", _TOKEN)
        app.extensions[_EXTENSION] = document
    found: OpenAPI = app.extensions[_EXTENSION]
    return found


class OpenAPI(Api):  # type: ignore[misc]
    """flask-smorest's document and routes, with this service's own errors."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None
    """Every answer is documented where it is given, so there is none left over for a default."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._to_describe: list[Callable[[], object]] = []
        self._describing = Lock()
        super().__init__(*arguments, **options)

    def describe(self, add: Callable[[], object]) -> None:
        """Add something to the document as soon as somebody asks for it: a start needs nothing of it."""
        self._to_describe.append(add)

    def _register_responses(self) -> None:
        self.describe(super()._register_responses)

    def _register_error_handlers(self) -> None:
        """Errors become answers in `web.errors`, for every surface alike."""

    def _openapi_json(self) -> Response:
        """The document; 304 where the client has it."""
        response = Response(self._document, mimetype="application/json")
        response.set_etag(self._document_tag)
        response.cache_control.no_cache = True
        response.make_conditional(current_request())
        return response

    @cached_property
    def _document(self) -> bytes:
        """Made when it is first asked for, which takes a tenth of a second, and kept."""
        with self._describing:
            while self._to_describe:
                self._to_describe.pop(0)()
        return json.dumps(self.spec.to_dict(), separators=(",", ":")).encode()

    @cached_property
    def _document_tag(self) -> str:
        return sha256(self._document).hexdigest()[:32]


class DocumentedBlueprint(Blueprint):  # type: ignore[misc]
    """A blueprint whose views return finished responses, so that documenting them costs a request nothing.

    flask-smorest wraps the view once for each documented answer; a view with fifteen of them would pass through fifteen
    functions that only call the next one.
    """

    def register_views_in_doc(self, api: OpenAPI, *arguments: Any, **options: Any) -> None:
        api.describe(partial(super().register_views_in_doc, api, *arguments, **options))

    def response(self, *arguments: Any, **options: Any) -> Callable[[View], View]:
        return _only_documented(super().response(*arguments, **options))

    def alt_response(self, *arguments: Any, **options: Any) -> Callable[[View], View]:
        return _only_documented(super().alt_response(*arguments, **options))


def _only_documented(decorate: Callable[[Any], Any]) -> Callable[[View], View]:
    def document(view: View) -> View:
        # On a function of its own, because flask-smorest copies all that was said before, however deep it lies.
        said = decorate(lambda: None)._apidoc
        known: dict[str, Any] = view.__dict__.setdefault("_apidoc", {})
        answers = known.setdefault("response", {}).setdefault("responses", {})
        for status, documents in said["response"]["responses"].items():
            answers.setdefault(status, []).extend(documents)
        known.setdefault("success_status_codes", []).extend(said.get("success_status_codes", ()))
        return view

    return document


class _AccessPlugin(BasePlugin):
    """Documents who may call an operation, as its view says with `access`."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def operation_helper(
        self, path: str | None = None, operations: dict[str, Any] | None = None, **documented: Any
    ) -> None:
        rule: Rule = documented["rule"]
        asked = access_rule(self._app.view_functions[rule.endpoint])
        if asked is None or (asked.is_open and not asked.permissions):
            return
        permissions = " or ".join(f"`{permission}`" for permission in asked.permissions)
        for operation in (operations or {}).values():
            operation["security"] = [{}, {"token": []}] if asked.is_open else [{"token": []}]
            if permissions:
                sentence = f"{'If there is one, the' if asked.is_open else 'The'} token needs {permissions}."
                operation["description"] = "\n\n".join(filter(None, (operation.get("description"), sentence)))
