"""What a connection type is made of, and what holds for every field of every type. Used by `types` and `email_type`."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.model.smtp import Reach

Fields = Mapping[str, Any]
"""The fields of a connection under the wire's names."""

HIGHEST_PORT = 65535

CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SAYS_SECRET = re.compile("password|passphrase|token|apikey|secret")
_KIND = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
_ARTICLE = {"integer": "an integer", "boolean": "true or false", "array": "an array", "object": "an object"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a connection may lead, by the settings."""

    ports: tuple[int, ...]
    reach: Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: `type` and `format` are those of JSON Schema, `default` stands for it where it is not given."""

    name: str
    type: str
    description: str
    default: Any = None
    format: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    is_required: bool = False
    example: Any = None

    @property
    def is_secret(self) -> bool:
        return says_secret(self.name)

    def fault(self, value: object) -> str | None:
        """A sentence that says why `value` cannot stand in this field, or None. Nothing is coerced."""
        # type() and not isinstance(): for Python, true is an integer.
        if type(value) is not _KIND[self.type] or not self._is_within(value):
            return f"The {self.name} field must be {self._expectation()}."
        if isinstance(value, str) and CONTROL_CHARACTERS.search(value):
            return f"The {self.name} field must not have control characters."
        return None

    def _is_within(self, value: Any) -> bool:
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)

    def _expectation(self) -> str:
        expectation = _ARTICLE.get(self.type, f"a {self.type}")
        return f"{expectation} from {self.minimum} to {self.maximum}" if self.minimum is not None else expectation


def _no_faults(_fields: Fields, _limits: Limits) -> Iterator[tuple[str, str]]:
    return iter(())


def _as_given(fields: Fields) -> dict[str, Any]:
    return dict(fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionType:
    """A row of the table of types.

    `is_open` keeps fields that are not declared as they are given; otherwise they are refused. `faults` yields what is
    wrong although each field alone is right, as field and sentence; `tidy` is the form in which fields are stored.
    """

    name: str
    description: str
    fields: tuple[Field, ...] = ()
    is_open: bool = True
    example: Mapping[str, Any]
    faults: Callable[[Fields, Limits], Iterator[tuple[str, str]]] = _no_faults
    tidy: Callable[[Fields], dict[str, Any]] = _as_given


def port_field(*, default: int | None, example: int, description: str) -> Field:
    return Field(
        name="port",
        type="integer",
        description=description,
        default=default,
        minimum=1,
        maximum=HIGHEST_PORT,
        example=example,
    )


def says_secret(name: str) -> bool:
    """Whether a field of this name holds a secret; without case, and however its words are joined."""
    return _SAYS_SECRET.search(re.sub(r"[\W_]", "", name).lower()) is not None
