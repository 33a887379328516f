"""The wheel: everything that the service needs is in it, and it runs where there is no checkout."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from app.intake.checks import ALTCHA_VERSION as ALTCHA
from app.settings import PROJECT_ROOT
from tests.conftest import TAKES_LONG, valid_request
from tests.test_process import Running, serving


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(build, cwd=PROJECT_ROOT, capture_output=True, check=True)
    (built,) = directory.glob("letterbox-*-py3-none-any.whl")
    return built


def test_every_file_of_the_service_is_in_it_and_nothing_else(wheel: Path) -> None:
    files = [path for top in ("app", "templates") for path in (PROJECT_ROOT / top).rglob("*") if path.is_file()]
    names = [str(path.relative_to(PROJECT_ROOT)) for path in files if path.parent.name != "__pycache__"]
    expected = {name if name.startswith("app/") else f"app/{name}" for name in names}
    found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert found == expected


def test_it_runs_from_an_empty_directory(wheel: Path, tmp_path: Path) -> None:
    """Beside the packages that the tests run with: only what is in the wheel is new."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    _demand_everything([sys.executable, "-m", "app"], tmp_path, PYTHONPATH=str(tmp_path / "site"))


@TAKES_LONG
def test_it_runs_in_an_environment_that_has_nothing_but_what_pip_installed(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    constraints = PROJECT_ROOT / "requirements.lock"
    install = [f"{tmp_path}/venv/bin/python", "-m", "pip", "install", "--quiet", "--constraint", constraints, wheel]
    subprocess.run([*map(str, install)], check=True)
    _demand_everything([str(tmp_path / "venv/bin/letterbox")], tmp_path)


def _demand_everything(letterbox: list[str], tmp_path: Path, **environment: str) -> None:
    directory = tmp_path / "empty"
    directory.mkdir()
    environment |= {"LETTERBOX_ENV_FILE": "", "VAR_DIR": ""}
    with serving(letterbox, tmp_path, environment, directory=directory) as service:
        assert {path.name for path in directory.iterdir()} == {"var"}
        created = ["forms", "create", "Contact", "--project", "Website", "--recipient", "office@example.com"]
        key = subprocess.run(
            [*letterbox, *created, "--origin", "https://www.example.com", "--check", "altcha"],
            env=os.environ | environment,
            cwd=directory,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        _demand_pages(service, key)
        status, headers, _ = service.ask("POST", "/api/v1/emails", valid_request(Template="Modern"))
        assert status == 201
        assert json.loads(service.ask("GET", headers["location"])[2])["status"] == "Sent"
        typed = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://localhost"}
        assert service.ask("POST", "/forms/default", "message=Hello&email=anna@example.com", typed)[0] in (200, 303)


def _demand_pages(service: Running, key: str) -> None:
    """Pages, and what they load: templates, style sheets, scripts, the languages, the widget of ALTCHA."""
    pages = ["/", "/demo", "/inbox", "/docs", "/openapi.json", f"/forms/{key}/snippet", f"/forms/{key}/challenge"]
    scripts = [f"/forms/assets/{name}.js" for name in ("letterbox", f"altcha-{ALTCHA}", f"altcha-texts-{ALTCHA}")]
    for path in [*pages, *scripts, "/forms/static/forms.css", "/assets/letterbox.css"]:
        status, _, body = service.ask("GET", path)
        assert (path, status) == (path, 200)
        assert body
