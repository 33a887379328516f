"""Where the texts come from: the real environment, and before it a `.env` file."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from app.errors import SettingsInvalid
from app.settings.reading import Reading, shown
from app.settings.values import IS_INSTALLED, PROJECT_ROOT
from app.settings.variables import is_ours

ENV_FILE = "LETTERBOX_ENV_FILE"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The `.env` that is read. `path` is None where there is none; relative paths count from `directory`.

    `unread` is the one in the project's own directory, where another one was found first.
    """

    path: Path | None
    directory: Path
    unread: Path | None = None


def find_env_file(environ: Mapping[str, str]) -> EnvFile:
    """The file that LETTERBOX_ENV_FILE names, else `.env` in the working directory, else in the project's own.

    Relative paths of the settings count from its directory, so that whoever reads the same file uses the same database.
    Without a file they count from the checkout, or, installed from a wheel, from the working directory. Raises
    SettingsInvalid where LETTERBOX_ENV_FILE names no file.
    """
    project = _project_directory()
    in_project = _env_file_in(project)
    if named := environ.get(ENV_FILE, "").strip():
        found = _named_file(named)
    else:
        found = _env_file_in(_working_directory()) or in_project
    if found is not None:
        return EnvFile(found, found.parent.resolve(), unread=in_project if in_project != found else None)
    directory = _working_directory() if IS_INSTALLED else PROJECT_ROOT
    if directory is None:
        raise SettingsInvalid(["The working directory does not exist any more. Start from one that does."])
    return EnvFile(None, directory, unread=in_project)


def _project_directory() -> Path | None:
    """The checkout; of a package that was installed from a wheel, the directory that holds its virtual environment."""
    if not IS_INSTALLED:
        return PROJECT_ROOT
    return Path(sys.prefix).parent if sys.prefix != sys.base_prefix else None


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def _env_file_in(directory: Path | None) -> Path | None:
    """None also where it is a directory, as some people call a virtual environment, or where one may not look."""
    path = None if directory is None else directory / ".env"
    try:
        return path if path is not None and path.is_file() else None
    except PermissionError:
        return None


def _named_file(text: str) -> Path | None:
    """None for /dev/null, which says that there is no file."""
    if text == os.devnull:
        return None
    try:
        path = Path(text).expanduser().absolute()
        # Each process reads it anew, so it cannot be a pipe.
        found = "" if path.is_file() else "which is no file" if path.exists() else "where there is no file"
    except OSError as error:
        found = f"which cannot be read ({error.strerror})"
    except RuntimeError:
        found = "whose home directory is not known"
    if found:
        remedy = f"Mend the path, or leave {ENV_FILE} out to have .env found."
        raise SettingsInvalid([f"{ENV_FILE}: found {shown(text)}, {found}, expected the path of a file. {remedy}"])
    return path


def read_sources(environ: Mapping[str, str]) -> Reading:
    """Every variable that is set and not empty. A real one wins over the file. Raises SettingsInvalid."""
    problems: list[str] = []
    env_file = find_env_file(environ)
    in_file = {} if env_file.path is None else _read_dotenv(env_file.path, problems)
    copies = _loaded_by_flask(environ, env_file, in_file)
    real = {name: value for name, value in environ.items() if name not in copies}
    given = _texts(in_file, problems) | _texts(real, problems)
    reading = Reading(given, env_file.directory, problems)
    if ENV_FILE in in_file:
        reading.warn(f"{ENV_FILE} has no effect in {env_file.path}: only the real environment can name another file.")
    return reading


def _loaded_by_flask(environ: Mapping[str, str], env_file: EnvFile, in_file: Mapping[str, str]) -> set[str]:
    """What the command `flask` has taken from the same file into the environment, with `${...}` filled in."""
    if "FLASK_RUN_FROM_CLI" not in environ or not in_file:
        return set()
    loaded = dotenv_values(env_file.path, encoding="utf-8")
    return {name for name in in_file if name in environ and environ[name] == loaded.get(name)}


def _texts(variables: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    texts = {}
    for name, value in variables.items():
        # A password may begin or end with a space, but there is none of spaces alone.
        text = value if "PASSWORD" in name and value.strip() else value.strip()
        if _is_text(text):
            texts[name] = text
        elif is_ours(name):
            problems.append(f"{name}: found bytes that are no text, expected UTF-8 without NUL. Write it again.")
    return {name: text for name, text in texts.items() if text}


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _read_dotenv(path: Path, problems: list[str]) -> dict[str, str]:
    """The file's variables without interpolation: a password with `${` in it stays as it was written.

    python-dotenv's `dotenv_values` skips a line that it cannot read; its parser tells which one, and a variable that
    is quietly missing is worse than a start that is refused.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(f"{path}: cannot be read: {why}. Mend or remove the file.")
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
        f"{path}, line {number}{about}: found something that is not NAME=value, expected one variable per line. "
        'A value of several lines stands in quotes: in \'...\' as it is, or in "..." with every " inside as \\".'
    )
