"""Which pages may submit a form. Used by `submit`.

A program can claim any origin; a browser cannot, so no other site can use its visitors to submit this form.
"""

from app.errors import OriginRefused, OriginUnknown
from app.forms.submission import Visitor
from app.model.form import Form
from app.model.origin import is_local, origin_of


def demand_origin(form: Form, visitor: Visitor, *, allows_local_pages: bool) -> None:
    """Raises OriginRefused for pages of other sites, and OriginUnknown where the browser does not say which page it is.

    Without Origin the page's address counts. `allows_local_pages` lets pages of the developer's own machine in.
    """
    if visitor.page_proof is not None:
        return
    origin = visitor.origin or origin_of(visitor.page or "")
    if origin in (None, "null"):
        # Every sandboxed frame and every page with `Referrer-Policy: same-origin` says so, whoever wrote it.
        raise OriginUnknown
    if not is_allowed(form, origin, own_origin=visitor.own_origin, allows_local=allows_local_pages):
        raise OriginRefused(origin)


def is_allowed(form: Form, origin: str, *, own_origin: str, allows_local: bool) -> bool:
    """Whether pages of `origin` may submit. Origins are compared exactly, as RFC 6454 says."""
    return origin in form.allowed_origins or origin == own_origin or (allows_local and is_local(origin))
