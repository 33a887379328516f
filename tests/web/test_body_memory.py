"""Memory and time follow the length of a body, whatever is in it."""

import json
import subprocess
import sys

import pytest

from tests.web.body_memory import READERS

NAMES = [f"{prefix}{name}" for prefix, bodies, _ in READERS for name in bodies]


@pytest.fixture(scope="module")
def figures() -> dict[str, tuple[float, float]]:
    """Measured in a process of its own, where nothing else takes memory."""
    program = [sys.executable, "-m", "tests.web.body_memory"]
    output = subprocess.run(program, capture_output=True, check=True, text=True).stdout
    return {name: tuple(measured) for name, measured in json.loads(output).items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_body_takes_at_most_four_times_its_length_and_a_second(
    figures: dict[str, tuple[float, float]], name: str
) -> None:
    peak, seconds = figures[name]
    assert peak <= 4
    assert seconds <= 1
