"""Variables that look like ours and are not: warned of, because a typo quietly leaves a default in force."""

import difflib
import re

from app.settings.reading import Reading
from app.settings.variables import VARIABLES

_OURS = re.compile(r"(SMTP|CORS)_", re.IGNORECASE)


def warn_of_lookalikes(reading: Reading) -> None:
    """Runs after everything was read. The environment is full of other programs' names, so it guesses carefully."""
    known = [variable.name for variable in VARIABLES]
    for name in sorted(reading.given.keys() - reading.asked_for):
        pattern = re.sub(r"(?<=_)[0-9]+(?=_)", "{INDEX}", name.upper()) if _OURS.match(name) else name.upper()
        if pattern in known:
            reading.warn(f"{name} is set but not used: {_why_unused(pattern)}.")
            continue
        # Short names such as HOST resemble too much.
        close = difflib.get_close_matches(pattern, known, n=1, cutoff=0.84) if len(name) > 5 else []
        if close:
            meant = _numbered_like(close[0], name)
            reading.warn(f"{name} is set but not used. Did you mean {meant}?")
        elif _OURS.match(name):
            reading.warn(f"{name} is set but not used: there is no such variable.")


def _why_unused(pattern: str) -> str:
    if "{INDEX}" not in pattern:
        return f"the name is written {pattern}"
    if pattern.startswith("SMTP"):
        return "SMTP_CONFIGURATIONS has no such Index"
    return "the numbers count from 1 upward until one is missing"


def _numbered_like(pattern: str, name: str) -> str:
    number = re.search(r"[0-9]+", name)
    return pattern.replace("{INDEX}", number[0]) if number else pattern
