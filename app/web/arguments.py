"""How requests become arguments: webargs' parser with strict JSON, names without case, and one shape of errors."""

from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from typing import Any, Never, cast

from flask import Request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import UnsupportedMediaType

from app.errors import RequestInvalid
from app.web.body_reads import read_body
from app.web.current import current_globals, current_request
from app.web.media_types import JSON, media_type
from app.web.strict_json import JSONInvalid, parse_object

WHOLE_BODY = "$"
"""The name under which errors stand that belong to no property."""


class CaselessSchema(Schema):
    """A schema whose property names are matched without case; null counts as not given, unknown names are ignored."""

    class Meta:
        unknown = EXCLUDE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._documented = {
            (field.data_key or name).lower(): field.data_key or name for name, field in self.fields.items()
        }

    @pre_load
    def spell_as_documented(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        spelled: dict[str, Any] = {}
        twice: dict[str, list[str]] = {}
        for name, value in data.items():
            documented = self._documented.get(name.lower())
            if documented is None:
                continue
            if documented in spelled:
                # A proxy and this service may pick different ones, so neither is taken.
                twice[documented] = [f"The {documented} field is given more than once."]
            spelled[documented] = value
        if twice:
            raise ValidationError(twice)
        return {name: value for name, value in spelled.items() if value is not None}


class StrictBoolean(fields.Boolean):
    """true or false, not what looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class ArgumentsParser(FlaskParser):
    """The parser of every blueprint; raises RequestInvalid, and 415 for a body that is not JSON."""

    DEFAULT_VALIDATION_STATUS = 400

    def parse(self, *arguments: Any, **options: Any) -> Any:
        """As webargs does it, together with what a `QueryParser` found wrong before."""
        query_errors = current_globals().pop("query_errors", {})
        try:
            parsed = super().parse(*arguments, **options)
        except RequestInvalid as error:
            raise RequestInvalid(query_errors | error.errors) from error
        if query_errors:
            raise RequestInvalid(query_errors)
        return parsed

    def load_json(self, req: Request, schema: Schema) -> Any:
        content_type = req.environ.get("CONTENT_TYPE", "")
        if content_type != JSON and media_type(content_type) != JSON:
            raise UnsupportedMediaType("The request body must be application/json in UTF-8.")
        try:
            # Not kept here, so that 33 MB are freed as soon as they are text.
            return parse_object(_body(req))
        except JSONInvalid as error:
            raise RequestInvalid({WHOLE_BODY: [str(error)]}) from error

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        return {name: values[0] if len(set(values)) == 1 else values for name, values in req.args.lists()}

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> Never:
        errors: dict[str, list[str]] = {}
        for messages in cast(dict[str, Any], error.messages).values():
            for name, sentence in _flatten(messages):
                errors.setdefault(name or WHOLE_BODY, []).append(sentence)
        raise RequestInvalid(errors) from error


class QueryParser(ArgumentsParser):
    """For a query that a body follows: its errors wait until the body has been read, so that all are said at once."""

    def parse(self, *arguments: Any, **options: Any) -> Any:
        if not current_request().query_string:
            # Most requests have none, and a schema takes 60 us to find that out.
            return dict(_without_a_query(arguments[0]))
        try:
            return super().parse(*arguments, **options)
        except RequestInvalid as error:
            current_globals().query_errors = error.errors
            return {}


@cache
def _without_a_query(schema: Schema) -> Mapping[str, Any]:
    """The defaults; every query schema has them for all its parameters."""
    defaults: Mapping[str, Any] = schema.load({})
    return defaults


def _body(req: Request) -> bytes:
    body = read_body(req)
    if "HTTP_IDEMPOTENCY_KEY" in req.environ:
        current_globals().body_digest = sha256(body).digest()
    return body


def _flatten(messages: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """marshmallow's nested messages as (`Attachments[0].FileName`, sentence)."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            if key == "_schema":
                inner_name = name
            elif isinstance(key, int):
                inner_name = f"{name}[{key}]"
            else:
                inner_name = f"{name}.{key}" if name else str(key)
            yield from _flatten(inner, inner_name)
    elif isinstance(messages, list):
        for message in messages:
            yield from _flatten(message, name)
    else:
        yield name, str(messages)
