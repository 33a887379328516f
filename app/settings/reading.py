"""One pass over the variables, and what was wrong with them. Used by every module of this package."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from app.settings.values import PROJECT_ROOT

Value = TypeVar("Value")


class Unusable(Exception):
    """A text that is no value. `expected` completes "expected ..."; `remedy` is a sentence on how to mend it.

    `found` takes the place of the text itself in the message: where it may hold a secret, or where it says little.
    """

    def __init__(self, expected: str, *, remedy: str = "", found: str | None = None) -> None:
        self.expected = expected
        self.remedy = remedy
        self.found = found
        super().__init__(expected)


def shown(text: str) -> str:
    """The text as a message shows it: short, quoted, escaped, and without what stands before an `@` in an URL.

    One with quotes in it is not shown: where a quote is misplaced, a password from further on may have slipped in.
    """
    if '"' in text or "'" in text:
        return f"{len(text)} characters with quotes among them"
    without_userinfo = re.sub(r"(?<=[:/]).*@", "***@", text, flags=re.DOTALL)
    return repr(without_userinfo if len(without_userinfo) <= 60 else without_userinfo[:57] + "...")


@dataclass
class Reading:
    """The texts that were given, by variable, with the problems and warnings that came up while reading them."""

    given: Mapping[str, str]
    directory: Path = PROJECT_ROOT
    """Where relative paths count from."""
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    asked_for: set[str] = field(default_factory=set)

    def text(self, name: str) -> str:
        """What the variable holds; empty when it is not set."""
        self.asked_for.add(name)
        return self.given.get(name, "")

    def value(self, name: str, text: str, read: Callable[[str], Value], *, example: str = "") -> Value | None:
        """Read one text; None, with the problem noted, when it cannot be used."""
        try:
            return read(text)
        except Unusable as unusable:
            remedy = unusable.remedy or (f"Write for example {example}." if example else "")
            found = unusable.found or shown(text)
            self.refuse(name, found=found, expected=unusable.expected, remedy=remedy)
            return None

    def refuse(self, name: str, *, found: str, expected: str, remedy: str) -> None:
        """Note a problem: which variable, what was found, what is expected, and how to mend it."""
        self.problems.append(f"{name}: found {found}, expected {expected}. {remedy}".rstrip())

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)
