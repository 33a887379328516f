"""A request's body -> the JSON object in it, or a sentence that says what is wrong, and never what was in it."""

from typing import Any

from flask import request
from marshmallow import Schema
from werkzeug.exceptions import UnsupportedMediaType

from app.errors import RequestInvalid
from app.web.arguments import WHOLE_BODY, ArgumentsParser

_PARSER = ArgumentsParser()
_NO_SCHEMA = Schema()
"""The parser's interface wants one; the type's own rules judge the fields."""


def json_body() -> dict[str, Any]:
    """Raises RequestInvalid, also for another content type: this contract has no 415."""
    try:
        body: dict[str, Any] = _PARSER.load_json(request, _NO_SCHEMA)
    except UnsupportedMediaType as error:
        raise RequestInvalid({WHOLE_BODY: [str(error.description)]}) from error
    return body
