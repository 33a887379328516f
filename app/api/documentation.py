"""What every operation of the OpenAPI document says alike: the answers that any call can get."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask_smorest.arguments import ArgumentsMixin
from marshmallow import Schema, fields

from app.web.arguments import ArgumentsParser, QueryParser
from app.web.current import current_request
from app.web.openapi import DocumentedBlueprint, ProblemSchema

View = TypeVar("View", bound=Callable[..., Any])
_PROBLEM = "application/problem+json"
_TEXT = "text/plain"
_FORBIDDEN = "The access token lacks the permission, or the client's address is blocked (then in plain text)."


class MessageSchema(Schema):
    """A sentence for people."""

    message = fields.String(required=True)


class ErrorSchema(Schema):
    """What is said of an error that was not foreseen."""

    error = fields.String(required=True)


PROBLEM_SCHEMA = ProblemSchema()
_ERROR_SCHEMA = ErrorSchema()
_TEXT_SCHEMA = {"type": "string"}


class _QueryArguments(ArgumentsMixin):  # type: ignore[misc]
    """flask-smorest's decorator, with the parser for a query that a body follows."""

    ARGUMENTS_PARSER = QueryParser()


class APIBlueprint(DocumentedBlueprint):
    """A flask-smorest blueprint that reads requests strictly."""

    ARGUMENTS_PARSER = ArgumentsParser()

    def query_and_body(self, query: Schema, body: Schema) -> Callable[[View], View]:
        """Two arguments for the view; what is wrong in either is said in one answer."""

        def decorate(view: View) -> View:
            @wraps(view)
            def read(**path: Any) -> Any:
                request = current_request()
                asked = _QueryArguments.ARGUMENTS_PARSER.parse(query, request, location="query")
                given = self.ARGUMENTS_PARSER.parse(body, request, location="json")
                return view(asked, given, **path)

            # flask-smorest's decorators only document here: each puts two functions around the view, and the four take
            # 10 us of a request.
            documented = _QueryArguments().arguments(query, location="query")(self.arguments(body)(view))
            read._apidoc = documented._apidoc  # type: ignore[attr-defined]
            return cast(View, read)

        return decorate

    def problems(self, **descriptions: str) -> Callable[[View], View]:
        """Document answers as problem documents; keywords are `s` and the status, `s502="..."`."""
        return self._answers({int(name[1:]): (PROBLEM_SCHEMA, _PROBLEM, text) for name, text in descriptions.items()})

    def shared_answers(self, view: View) -> View:
        """Document the answers that any operation can give."""
        view = self.problems(
            s401="The access token is unknown, expired or revoked.",
            s403=_FORBIDDEN,
            s406="The client does not accept JSON.",
            s503="The database does not answer, so nothing was done; see Retry-After.",
        )(view)
        return self._answers(
            {
                403: (_TEXT_SCHEMA, _TEXT, _FORBIDDEN),
                429: (_TEXT_SCHEMA, _TEXT, "Too many requests; see Retry-After."),
                500: (_ERROR_SCHEMA, "application/json", "Unforeseen."),
            }
        )(view)

    def _answers(self, answers: dict[int, tuple[Any, str, str]]) -> Callable[[View], View]:
        def decorate(view: View) -> View:
            for status, (schema, content_type, description) in answers.items():
                view = self.alt_response(status, schema=schema, content_type=content_type, description=description)(
                    view
                )
            return view

        return decorate
