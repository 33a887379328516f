"""Where the texts come from: the real environment, and before it a `.env` file."""

import re
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from app.settings.reading import Reading
from app.settings.variables import is_ours

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")


def read_sources(environ: Mapping[str, str], dotenv_path: Path | None) -> Reading:
    """Every variable that is set and not empty. A real one wins over the file."""
    problems: list[str] = []
    given = _texts(_read_dotenv(dotenv_path, problems), problems) | _texts(environ, problems)
    return Reading(given, problems)


def _texts(variables: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    texts = {}
    for name, value in variables.items():
        text = value if _is_password(name) else value.strip()
        if _is_text(text):
            texts[name] = text
        elif is_ours(name):
            problems.append(f"{name}: found bytes that are no text, expected UTF-8 without NUL. Write it again.")
    return {name: text for name, text in texts.items() if text}


def _is_password(name: str) -> bool:
    # A password may begin or end with a space.
    return "PASSWORD" in name


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _read_dotenv(path: Path | None, problems: list[str]) -> dict[str, str]:
    """The file's variables without interpolation: a password with `${` in it stays as it was written.

    python-dotenv's `dotenv_values` skips a line that it cannot read; its parser tells which one, and a variable that
    is quietly missing is worse than a start that is refused.
    """
    if path is None or path.is_dir():
        return {}
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(f"{path.name}: cannot be read: {why}. Mend or remove the file.")
        return {}
    broken = [binding for binding in bindings if _is_broken(binding)]
    if broken:
        problems.append(_first_broken(path, broken[0]))
    return {binding.key: binding.value or "" for binding in bindings if binding.key and not _is_broken(binding)}


def _is_broken(binding: Binding) -> bool:
    return binding.error or (binding.key is not None and not _NAME.fullmatch(binding.key))


def _first_broken(path: Path, binding: Binding) -> str:
    """Only the first: one missing quote breaks every line behind it. The line itself may hold a password."""
    text = binding.original.string
    number = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
    assignment = _ASSIGNMENT.match(text)
    about = f" ({assignment[1]})" if assignment else ""
    return (
        f"{path.name}, line {number}{about}: found something that is not NAME=value, expected one variable per line. "
        'A value of several lines stands in quotes: in \'...\' as it is, or in "..." with every " inside as \\".'
    )
