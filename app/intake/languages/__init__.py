"""What visitors are told, in the languages that they may prefer: one file of texts for each.

`german = language("de")`, then `german.say("limit", wait=german.duration(90))`. All files have the same keys.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

LANGUAGES = ("en", "de", "fr", "es", "tr", "it", "pt")
"""The first one is for those who prefer none of them."""


@dataclass(frozen=True, slots=True)
class Language:
    """`code` is an HTML `lang`, `direction` its `dir`."""

    code: str
    texts: dict[str, str]

    @property
    def direction(self) -> str:
        return self.texts["direction"]

    def say(self, key: str, **values: object) -> str:
        """A text with its places filled."""
        return self.texts[key].format(**values)

    def duration(self, seconds: float) -> str:
        """Rounded up: hours and minutes, or minutes, or seconds; so whoever comes back after it is let in."""
        whole = max(1, ceil(seconds))
        if whole < 60:
            return self._number(whole, "second")
        hours, minutes = divmod(ceil(whole / 60), 60)
        parts = [self._number(number, unit) for number, unit in ((hours, "hour"), (minutes, "minute")) if number]
        return " ".join(parts)

    def _number(self, number: int, unit: str) -> str:
        return self.say(unit if number == 1 else f"{unit}s", number=number)


@cache
def language(code: str) -> Language:
    """One of `LANGUAGES`."""
    texts = tomllib.loads((Path(__file__).parent / f"{code}.toml").read_text(encoding="utf-8"))
    return Language(code, texts)
