"""Memory and time follow the length of a body, whatever is in it."""

import json
import subprocess
import sys

from tests.web.body_memory import READERS

NAMES = {f"{prefix}{name}" for prefix, bodies, _ in READERS for name in bodies}


def test_a_body_takes_at_most_four_times_its_length_and_a_second_and_a_half() -> None:
    """Measured in a process of its own, where nothing else takes memory."""
    program = [sys.executable, "-m", "tests.web.body_memory"]
    output = subprocess.run(program, capture_output=True, check=True, text=True).stdout
    figures: dict[str, tuple[float, float]] = json.loads(output)
    assert figures.keys() == NAMES
    assert {name: (peak, seconds) for name, (peak, seconds) in figures.items() if peak > 4 or seconds > 1.5} == {}
