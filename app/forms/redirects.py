"""Where a visitor may be sent after submitting: pages of the form's origins and its owner's redirect targets.

`_next` and `redirect` are fields of a page, so anybody can write them. What is not clearly an address that the owner
allows leads nowhere: the visitor sees the thank-you page, and the message is received all the same.
"""

import re
from urllib.parse import quote, unquote, urljoin

from app.forms.submission import Submission, Visitor
from app.model.form import Form
from app.model.origin import is_local

CONTROLS = ("_next", "redirect")
"""The fields that ask for it, in both dialects."""

_LONGEST = 2000
_DEFAULT_PORTS = {"http": "80", "https": "443"}

# User info, white space, brackets of IPv6 and everything beyond ASCII in the host are not in it, on purpose.
_ABSOLUTE = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]++)(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?#].*+)?",
    # Without ASCII, letters that only look like these would match without case.
    re.ASCII | re.IGNORECASE,
)
_SCHEME = re.compile(r"[^/?#]*:")
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\\\\\u2028\u2029\ud800-\udfff]")
_KEPT = "/?#[]@!$&'()*+,;=%:~-._"


def wanted_redirect(form: Form, submission: Submission, visitor: Visitor) -> str | None:
    """The address that the form's page asks for, if the visitor may be sent there."""
    wanted = submission.first(*CONTROLS)
    return redirect_target(form, wanted, visitor) if wanted else None


def redirect_target(form: Form, wanted: str, visitor: Visitor) -> str | None:
    """`wanted` as an absolute http(s) address in ASCII, or None where the form does not allow it.

    A relative one is resolved against the page that submitted, when that page is one of the form's own.
    """
    wanted = wanted.strip(" ")
    if not wanted or len(wanted) > _LONGEST or _FORBIDDEN.search(wanted) or wanted.startswith("//"):
        return None
    if _ABSOLUTE.fullmatch(wanted) is None:
        # With a scheme of its own it is not relative, however a browser may complete it.
        if _SCHEME.match(wanted):
            return None
        base = _base(form, visitor)
        if base is None:
            return None
        wanted = urljoin(base, wanted)
    return _allowed(form, visitor, wanted)


def _allowed(form: Form, visitor: Visitor, address: str) -> str | None:
    match = _ABSOLUTE.fullmatch(address)
    if match is None:
        return None
    origin = _origin(match)
    path = _ascii(match["rest"] or "/")
    if origin in _origins(form, visitor) or any(_is_below(origin, path, target) for target in form.redirect_targets):
        return f"{origin}{path}"
    return None


def _base(form: Form, visitor: Visitor) -> str | None:
    """The page that submitted, else the root of its origin."""
    for candidate in (visitor.page, f"{visitor.origin}/" if visitor.origin else None):
        if candidate and not _FORBIDDEN.search(candidate):
            match = _ABSOLUTE.fullmatch(candidate)
            if match is not None and _origin(match) in _origins(form, visitor):
                return candidate
    return None


def _origins(form: Form, visitor: Visitor) -> set[str]:
    origins = {*form.allowed_origins, visitor.own_origin}
    # A page on the developer's own machine may submit where `origins` says so, and then comes back to itself.
    if visitor.origin and is_local(visitor.origin):
        origins.add(visitor.origin)
    return origins


def _origin(match: "re.Match[str]") -> str:
    """As browsers write it: in lower case, without the port that goes without saying."""
    scheme, host, port = match["scheme"].lower(), match["host"].lower(), match["port"]
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"


def _is_below(origin: str, path: str, target: str) -> bool:
    """Whether `path` is the target's, or one below it by whole segments."""
    match = _ABSOLUTE.fullmatch(target)
    if match is None or _origin(match) != origin:
        return False
    allowed = _ascii(match["rest"] or "/")
    if path == allowed:
        return True
    directory, plain = _path_of(allowed), _path_of(path)
    # A browser walks up over `..`, also where its dots are percent-encoded.
    if directory != allowed or any(unquote(segment) in (".", "..") for segment in plain.split("/")):
        return False
    return plain == directory or plain.startswith(directory.rstrip("/") + "/")


def _path_of(rest: str) -> str:
    return re.split("[?#]", rest, maxsplit=1)[0]


def _ascii(rest: str) -> str:
    """Path, query and fragment with what a Location header cannot hold percent-encoded; nothing is encoded twice."""
    return quote(rest if rest.startswith("/") else f"/{rest}", safe=_KEPT)
