"""The README is true: what it names exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

from app.cli import main
from app.settings import PROJECT_ROOT, VARIABLES
from tests.test_process import running

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")


def test_every_setting_stands_in_the_table_with_its_default_and_meaning() -> None:
    for variable in VARIABLES:
        default = f"`{variable.default}`" if variable.default else ""
        assert f"| `{variable.name}` | {default} | {variable.meaning} |" in README


def test_every_command_stands_in_the_table_and_the_other_way_round() -> None:
    named = set(re.findall(r"`letterbox ([a-z-]+)", README))
    assert named == set(main.commands)


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`", README)) <= targets


def test_the_map_names_every_room() -> None:
    rooms = {path.name for path in Path(PROJECT_ROOT / "app").iterdir() if path.is_dir() and path.name[0] != "_"}
    code_map = README.partition("## The map of the code")[2]
    for room in rooms:
        assert f"{room}/" in code_map


def test_the_examples_work_in_the_order_in_which_they_stand(tmp_path: Path) -> None:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    commands = [
        ["bash", "-ec", code] for language, code in blocks if language == "sh" and ("curl" in code or "forms" in code)
    ]
    commands += [[sys.executable, "-c", code] for language, code in blocks if language == "python"]
    assert len(commands) == 8
    answers = []
    with running(tmp_path) as service:
        environment = os.environ | {"VAR_DIR": str(tmp_path)}
        for *program, code in commands:
            code = code.replace("localhost:8000", f"127.0.0.1:{service.port}")
            code = code.replace(".venv/bin/letterbox", f"{sys.executable} -m app")
            run = [*program, code]
            result = subprocess.run(run, capture_output=True, text=True, check=True, cwd=PROJECT_ROOT, env=environment)
            answers.append(result.stdout)
        assert service.ask("GET", "/inbox")[2].count(b"<time") >= 5
    connection = next(answer for answer in answers if "deploymentResult" in answer)
    assert '"name":"tcp"' in connection
    form = next(answer for answer in answers if "submissionsPerHour" in answer)
    for answer in answers:
        if answer not in (connection, form):
            assert re.search(r"[0-9A-F]{8}", answer)
        assert '"error"' not in answer
        assert '"title"' not in answer
