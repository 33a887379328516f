"""The browser for every test of this directory."""

from pathlib import Path

import pytest

from tests.browser.browser import browser

__all__ = ["browser"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser hangs up on a picture that it does not need any more, and werkzeug's server leaves the file open."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"))
