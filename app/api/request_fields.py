"""The kinds of values in an EmailRequest (spec: email-api, sections 3 and 4), each with its own sentences."""

from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow.validate import Length

from app.messages.extra_fields import header_faults
from app.messages.headers import ascii_address
from app.messages.mailboxes import mailbox
from app.settings import MessageLimits

_MOST_HEADERS = 50
_LONGEST_NAME_SHOWN = 76


class Address(fields.String):
    """A mailbox that can stand in Reply-To without turning into anything else."""

    def __init__(self, *, data_key: str, **options: Any) -> None:
        super().__init__(data_key=data_key, error_messages=_sentences(data_key), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if self.required and not text.strip():
            raise self.make_error("required")
        address = mailbox(text)
        if address is None:
            raise ValidationError(_no_address(str(self.data_key)))
        return address


class Recipients(fields.List[Any]):
    """To, Cc or Bcc: mailboxes with their domains in lower-case ASCII, as an envelope needs them."""

    def __init__(self, limits: MessageLimits, *, data_key: str, description: str) -> None:
        super().__init__(
            fields.String(metadata={"format": "email"}),
            data_key=data_key,
            metadata={"description": description, "maxItems": limits.recipients},
        )
        self._most = limits.recipients

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        name = self.data_key
        if isinstance(value, str):
            raise ValidationError(f"The {name} field must be an array of addresses, not a single string.")
        if not isinstance(value, list):
            raise ValidationError(f"The {name} field must be an array of addresses.")
        if len(value) > self._most:
            raise ValidationError(f"The {name} field must have at most {self._most} addresses.")
        errors: dict[int, list[str]] = {}
        addresses = []
        for index, text in enumerate(value):
            if not isinstance(text, str):
                errors[index] = [f"The {name}[{index}] field must be a string."]
            elif (address := _recipient(text)) is None:
                errors[index] = [_no_address(f"{name}[{index}]")]
            else:
                addresses.append(address)
        if errors:
            raise ValidationError(errors)
        return addresses


def _recipient(text: str) -> str | None:
    address = mailbox(text)
    try:
        return None if address is None else ascii_address(address)
    except ValueError:
        return None


def _no_address(name: str) -> str:
    return f"The {name} field is not a valid e-mail address."


class OneOf(fields.String):
    """One of some names, matched without case, loaded in its documented spelling."""

    def __init__(self, names: Iterable[str], *, data_key: str, **options: Any) -> None:
        self._spelled = {name.lower(): name for name in names}
        self._refusal = f"The {data_key} field must be one of: {', '.join(self._spelled.values())}."
        super().__init__(
            data_key=data_key,
            error_messages={"invalid": self._refusal},
            metadata={"enum": list(self._spelled.values())},
            **options,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text.lower() not in self._spelled:
            raise ValidationError(self._refusal)
        return self._spelled[text.lower()]


class TextMap(fields.Dict):
    """CustomFields: names of one to some characters, each with a text."""

    def __init__(self, limits: MessageLimits, **options: Any) -> None:
        self._limits = limits
        super().__init__(keys=fields.String(), values=fields.String(), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise ValidationError("The CustomFields field must be an object of texts.")
        if len(value) > self._limits.custom_fields:
            raise ValidationError(f"The CustomFields field must have at most {self._limits.custom_fields} entries.")
        longest = self._limits.custom_field_name
        errors: dict[str, list[str]] = {}
        for name, text in value.items():
            if not 1 <= len(name) <= longest:
                errors[name[:longest]] = [f"The name of a custom field must have 1 to {longest} characters."]
            elif not isinstance(text, str):
                errors[name] = [f"The CustomFields.{name} field must be a string."]
        if errors:
            raise ValidationError(errors)
        return dict(value)


class Headers(fields.Dict):
    """Header fields that are added to the message: allowed names, each with one line of text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(keys=fields.String(), values=fields.String(), data_key="Headers", **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise ValidationError("The Headers field must be an object of texts.")
        if len(value) > _MOST_HEADERS:
            raise ValidationError(f"The Headers field must have at most {_MOST_HEADERS} entries.")
        texts = {name: text for name, text in value.items() if isinstance(text, str)}
        shown = [name[:_LONGEST_NAME_SHOWN] for name in value if name not in texts]
        errors = {name: [f"The Headers.{name} field must be a string."] for name in shown}
        errors |= {name[:_LONGEST_NAME_SHOWN]: [sentence] for name, sentence in header_faults(texts).items()}
        if errors:
            raise ValidationError(errors)
        return texts


def text_field(
    name: str, longest: int | None = None, *, required: bool = False, validate: Any = None, example: str | None = None
) -> fields.String:
    validators = [validate] if validate else []
    if longest is not None:
        validators.append(
            Length(max=longest, error=f"The {name} field must be a string with a maximum length of {longest}.")
        )
    return fields.String(
        data_key=name,
        required=required,
        validate=validators,
        error_messages=_sentences(name),
        metadata={"example": example} if example else {},
    )


def _sentences(name: str) -> dict[str, Any]:
    return {"required": f"The {name} field is required.", "invalid": f"The {name} field must be a string."}
