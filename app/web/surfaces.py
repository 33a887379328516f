"""Which surface a request is for. Errors, headers and guards differ by it, also where no route matches."""

from enum import Enum, auto

from app.web.current import current_request
from app.web.versions import api_call


class Surface(Enum):
    """Where a path leads."""

    API = auto()
    APIOPS = auto()
    FORMS = auto()
    """What web forms post to."""
    PAGES = auto()
    """What a browser or a monitor asks for."""


def surface() -> Surface:
    """Of the current request."""
    if api_call() is not None:
        return Surface.API
    first = current_request().path.lstrip("/").partition("/")[0].lower()
    return _BY_FIRST_SEGMENT.get(first, Surface.PAGES)


_BY_FIRST_SEGMENT = {"apiops": Surface.APIOPS, "forms": Surface.FORMS}
