"""The README is true: what it names exists."""

import re
from pathlib import Path

from app.cli import main
from app.settings import PROJECT_ROOT, VARIABLES

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
