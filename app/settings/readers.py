"""Text -> value, for what names nothing on a network. Each reader raises Unusable with what it expects."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from limits import parse_many

from app.settings.reading import Unusable

_YES = {"true", "1", "yes", "on"}
_NO = {"false", "0", "no", "off"}
MAKE_A_KEY = 'Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))".'


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        # The length is checked because int() refuses thousands of digits with an error of its own.
        if not re.fullmatch(r"[0-9]{1,15}", text) or not lowest <= int(text) <= highest:
            raise Unusable(f"a whole number from {lowest} to {highest}")
        return int(text)

    return read


def seconds(lowest: float, highest: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not lowest <= float(text) <= highest:
            raise Unusable(f"a number of seconds from {lowest:g} to {highest:g}")
        return float(text)

    return read


def flag(text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise Unusable("true or false")
    return text.lower() in _YES


def choice(*allowed: str, synonyms: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """One of the words, without case. A synonym is only named in the remedy."""

    def read(text: str) -> str:
        word = text.lower()
        if word not in allowed:
            meant = (synonyms or {}).get(word)
            raise Unusable(f"one of {', '.join(allowed)}", remedy=f"Write {meant}." if meant else "")
        return word

    return read


def line(longest: int) -> Callable[[str], str]:
    """Any text of one line that can be shown."""

    def read(text: str) -> str:
        if len(text) > longest or not text.isprintable():
            raise Unusable(f"one line of at most {longest} characters without control characters")
        return text

    return read


def environment_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", text):
        raise Unusable("a name of at most 64 letters, digits, spaces, dots, dashes and underscores")
    # "Production" must not quietly start with the defaults of a development machine.
    return "production" if text.lower() == "production" else text


def secret_keys(text: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    lengths = [len(key) for key in keys]
    if not keys or min(lengths) < 32:
        raise Unusable(
            "one key, or several separated by commas, of at least 32 characters each",
            found=f"keys of {' and '.join(map(str, lengths))} characters" if keys else "no key",
            remedy=MAKE_A_KEY,
        )
    return keys


def public_key(text: str) -> str:
    """The key of a captcha that stands in pages."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", text):
        raise Unusable("a key of at most 200 letters, digits, dots, dashes and underscores")
    return text


def secret_text(text: str) -> str:
    """The key of a captcha that nobody may see."""
    if not re.fullmatch(r"[!-~]{1,500}", text):
        raise Unusable(
            "a key of at most 500 visible ASCII characters without spaces", found=f"{len(text)} characters of others"
        )
    return text


def file_path(text: str) -> Path:
    """A path; `~` is the home directory. What is relative stays so: see `EnvFile.directory`."""
    try:
        if not text.isprintable():
            raise Unusable("a path without control characters")
        return Path(text).expanduser()
    except RuntimeError as error:
        raise Unusable("a path; the home directory of that user is not known") from error


def rate_limit(text: str) -> str:
    """Limits in the notation of `limits` (https://limits.readthedocs.io, "Rate limit string notation")."""
    expected = "limits such as 10 per minute, or 10/minute; 100/hour"
    try:
        items = parse_many(text)
    except ValueError as error:
        raise Unusable(expected) from error
    if not items or not all(1 <= item.amount <= 10**9 and 1 <= item.get_expiry() <= 10**9 for item in items):
        raise Unusable(expected)
    return text


def extensions(text: str) -> frozenset[str]:
    """File name extensions, with or without their dot; `none` denies nothing."""
    if text.lower() == "none":
        return frozenset()
    names = [name.strip().removeprefix(".").lower() for name in text.split(",")]
    if not all(re.fullmatch(r"[a-z0-9_-]{1,20}", name) for name in names):
        raise Unusable("file name extensions separated by commas, or the word none")
    return frozenset(names)
