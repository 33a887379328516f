"""The current request and Flask's `g` themselves, for what every request passes.

Whatever is read through Flask's own names costs 0.8 us more each time, and a request was asked for fifty things.
"""

from flask import Request, g, request
from flask.ctx import _AppCtxGlobals


def current_request() -> Request:
    """What `flask.request` stands for."""
    itself: Request = request._get_current_object()  # type: ignore[attr-defined]
    return itself


def current_globals() -> _AppCtxGlobals:
    """What `flask.g` stands for."""
    itself: _AppCtxGlobals = g._get_current_object()
    return itself
