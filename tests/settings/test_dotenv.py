"""`.env` as python-dotenv reads it, and `.env.example` as people copy it."""

import re
from pathlib import Path

import pytest

from app.errors import SettingsInvalid
from app.settings import PROJECT_ROOT, VARIABLES, Settings, Variable, load_settings
from tests.settings.environment import KEY, SECRET

EXAMPLE = (PROJECT_ROOT / ".env.example").read_text(encoding="utf-8")


def load_file(path: Path, text: str, **environ: str) -> Settings:
    file = path / ".env"
    file.write_text(text, encoding="utf-8")
    return load_settings({"SECRET_KEY": KEY, "LETTERBOX_ENV_FILE": str(file), **environ})


def problems_of(path: Path, text: str) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load_file(path, text)
    return str(caught.value)


def test_the_file_is_read_and_a_real_variable_wins(tmp_path: Path) -> None:
    settings = load_file(tmp_path, "PORT=8001\nHOST=0.0.0.0 # everywhere\n", PORT="8002")

    assert (settings.port, settings.host) == (8002, "0.0.0.0")


def test_a_real_variable_without_text_does_not_hide_the_file(tmp_path: Path) -> None:
    assert load_file(tmp_path, "PORT=8001", PORT="").port == 8001


def test_nothing_in_a_password_is_interpolated(tmp_path: Path) -> None:
    smtp = '[{"Index":1,"Host":"h","Port":25,"Email":"a@example.com"}]'
    text = f"SMTP_CONFIGURATIONS='{smtp}'\nSMTP_RECEPTION_EMAIL=b@example.com\nSMTP_1_PASSWORD='${{HOME}}$x #y'\n"

    assert load_file(tmp_path, text).smtp_configurations[0].account.password == "${HOME}$x #y"


@pytest.mark.parametrize("content", ["", "\ufeffPORT=8000\r\n", "export PORT=8000", "PORT"])
def test_a_sparse_file_is_fine(tmp_path: Path, content: str) -> None:
    assert load_file(tmp_path, content).port == 8000


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f'PORT=8000\n\nSMTP_CONFIGURATIONS="[\n  {{"Password": "{SECRET}"}}\n]"\n', "line 3 (SMTP_CONFIGURATIONS)"),
        (f'SMTP_CONFIGURATIONS=[\n  {{\n "Password": "{SECRET}"\n}}]\n', "line 2"),
        (f"SMTP_1_PASSWORD='{SECRET}\n", "line 1 (SMTP_1_PASSWORD)"),
        (f"SMTP_1_PASSWORD: {SECRET}\n", "line 1"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_without_its_text(tmp_path: Path, text: str, line: str) -> None:
    problems = problems_of(tmp_path, text)

    assert problems.startswith(f"{tmp_path}/.env, {line}: ")
    assert SECRET not in problems


def test_a_file_that_is_not_utf_8_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("HOST=München".encode("latin-1"))

    with pytest.raises(SettingsInvalid, match=r"\.env: cannot be read: it is not UTF-8"):
        load_settings({"SECRET_KEY": KEY, "LETTERBOX_ENV_FILE": str(tmp_path / ".env")})


def test_the_example_copied_unchanged_is_a_development_start(tmp_path: Path) -> None:
    settings = load_file(tmp_path, EXAMPLE)

    assert settings.runs_embedded_inbox
    assert settings.warnings == ()


@pytest.mark.parametrize("variable", VARIABLES, ids=[variable.name for variable in VARIABLES])
def test_the_example_has_every_variable_with_its_default(variable: Variable) -> None:
    written = re.findall(rf"^#{variable.name.replace('{INDEX}', '1')}=(.*)$", EXAMPLE, re.MULTILINE)

    assert len(written) == 1
    assert not variable.default or written[0].strip('"') == variable.default


def test_the_example_with_everything_taken_in_is_valid(tmp_path: Path) -> None:
    taken_in = re.sub(r"^#(?! )", "", EXAMPLE, flags=re.MULTILINE)
    taken_in = re.sub(r"^#  ", "  ", taken_in, flags=re.MULTILINE)

    settings = load_file(tmp_path, taken_in)

    assert [configuration.index for configuration in settings.smtp_configurations] == [1, 2]
    assert settings.warnings == ()
