"""What the query of a request about emails may say. Its names are matched without case, and nothing is guessed."""

import re
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields, post_load
from marshmallow.validate import Range

from app.api.request_fields import OneOf
from app.emails.cursor import Cursor
from app.model.email import Status
from app.web.arguments import CaselessSchema

_MOST_EMAILS = 200
_LIMIT_REFUSAL = f"The limit field must be an integer from 1 to {_MOST_EMAILS}."


class DecimalInteger(fields.Integer):
    """An integer as people write it; `int` would also read `1_0`, ` 1`, `+1` and digits of other scripts."""

    _DECIMAL = re.compile(r"-?[0-9]{1,9}")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not isinstance(value, str) or not self._DECIMAL.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return int(value)


class WordedBoolean(fields.Boolean):
    """A truth value of a query string: true or false, without case."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        text = value.lower() if isinstance(value, str) else None
        if text not in ("true", "false"):
            raise ValidationError("The test field must be true or false.")
        return text == "true"


class Moment(fields.DateTime):
    """A moment with its offset from UTC: without one it would be another moment on another machine."""

    _FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})")
    _LOST_PLUS = re.compile(r" (?=[0-9]{2}:[0-9]{2}\Z)")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            # A plus that was not percent-encoded arrives as a space.
            text = self._LOST_PLUS.sub("+", value.upper()) if isinstance(value, str) else ""
            if self._FORM.fullmatch(text) is not None:
                return datetime.fromisoformat(text)
        except ValueError:
            pass  # It has the form, and there is no such moment.
        raise ValidationError(
            f"The {self.data_key} field must be a date and time with an offset, such as 2026-01-07T12:00:00Z."
        )


class CursorField(fields.String):
    """A cursor as the service made it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return Cursor.read(value if isinstance(value, str) else "")
        except ValueError as error:
            raise ValidationError(f"The {self.data_key} field is not one that a list of emails has given.") from error


class SendingQuerySchema(CaselessSchema):
    """How a message is to be sent."""

    smtp_id = DecimalInteger(
        data_key="smtpId",
        load_default=None,
        error_messages={"invalid": "The smtpId field must be an integer."},
        metadata={"description": "Index of the SMTP configuration; the first one when it is left out."},
    )
    is_test = WordedBoolean(
        data_key="test",
        load_default=False,
        metadata={"description": "Send from the configuration's test address, signed in with its test password."},
    )


class ListingQuerySchema(CaselessSchema):
    """Which emails are listed."""

    status = OneOf((status.value for status in Status), data_key="status")
    smtp_id = DecimalInteger(
        data_key="smtpId",
        error_messages={"invalid": "The smtpId field must be an integer."},
        metadata={"description": "The SMTP configuration that was asked for."},
    )
    since = Moment(
        data_key="since",
        metadata={"description": "No emails from before then; ISO 8601 with `Z` or an offset."},
    )
    limit = DecimalInteger(
        data_key="limit",
        load_default=50,
        validate=Range(1, _MOST_EMAILS, error=_LIMIT_REFUSAL),
        error_messages={"invalid": _LIMIT_REFUSAL},
        metadata={"description": "How many at most."},
    )
    after = CursorField(
        data_key="cursor",
        metadata={"description": "From the `Link` of the page before; the other parameters stay the same."},
    )

    @post_load
    def to_model(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data | ({"status": Status(data["status"])} if "status" in data else {})
