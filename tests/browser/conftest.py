"""The browser for every test of this directory."""

from tests.browser.browser import browser

__all__ = ["browser"]
