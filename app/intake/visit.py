"""What is known of the visitor whose request this is, gathered while it is read. Used by all of `intake`."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from flask import Request

from app.emails.office import Office
from app.forms import page_proofs
from app.forms.recognition import PAGE_FIELD
from app.forms.redirects import redirect_target
from app.forms.submission import Visitor
from app.guards.client_address import client_key
from app.intake.bodies import Contents
from app.intake.languages import LANGUAGES, Language, language
from app.intake.reading import Typed, typed
from app.model.form import Form
from app.settings import Settings
from app.web.media_types import JSON, PROBLEM_JSON, media_ranges, quality
from app.web.own_url import page_origin


@dataclass(slots=True)
class Visit:
    """One request, as far as it has been read; errors are answered with what is there."""

    visitor: Visitor
    form: Form | None = None
    typed: Typed = field(default_factory=Typed)

    @property
    def language(self) -> Language:
        return language(self.visitor.language)

    def has_read(self, contents: Contents, office: Office) -> None:
        """Keep what was typed, and see where a page of ours was shown instead of the visitor's."""
        self.typed = typed(contents)
        if self.form is None:
            return
        is_own = self.visitor.origin == self.visitor.own_origin
        if not is_own and (proof := contents.first(page_proofs.FIELD)):
            found = page_proofs.read(office, self.form, proof, client=self.visitor.client)
            self.visitor, is_own = replace(self.visitor, page_proof=found), found is not None
        if is_own and (handed_on := contents.first(PAGE_FIELD)):
            page = redirect_target(self.form, handed_on, self.visitor)
            self.visitor = replace(self.visitor, page=page or self.visitor.page)

    def way_back(self, own_path: str) -> str | None:
        """The page that the visitor came from, if it is one of the form's."""
        page = self.visitor.page
        if self.form is None or page is None or page.startswith(f"{self.visitor.own_origin}{own_path}"):
            return None
        return redirect_target(self.form, page, self.visitor)


def visitor_of(request: Request, settings: Settings) -> Visitor:
    """What the headers say."""
    environ = request.environ
    return Visitor(
        client=client_key(
            environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""), settings.guards.trusted_proxies
        ),
        origin=request.headers.get("Origin"),
        page=request.headers.get("Referer"),
        own_origin=page_origin(settings),
        user_agent=request.headers.get("User-Agent", ""),
        language=_language(request),
    )


def _language(request: Request) -> str:
    """The best one of ours, whichever country's variant the browser names."""
    preferred = (tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality > 0)
    return next((code for code in preferred if code in LANGUAGES), LANGUAGES[0])


def wants_json(request: Request, fields: Iterable[tuple[str, str]] = ()) -> bool:
    """Whether a script reads the answer: it says so, or sent JSON, or fetched and asked for nothing in particular."""
    if any(name == "_format" and value.strip().lower() == "json" for name, value in fields):
        return True
    if request.headers.get("X-Requested-With", "").lower() == "xmlhttprequest":
        return True
    accepted = media_ranges(request.headers.get("Accept", ""))
    html = max(quality(accepted, "text/html"), quality(accepted, "application/xhtml+xml"))
    json = max(quality(accepted, JSON), quality(accepted, PROBLEM_JSON))
    if html != json:
        return json > html
    if "text/html" in accepted or JSON in accepted:
        # Browsers name HTML and scripts JSON, also where they would take anything else as well.
        return "text/html" not in accepted
    return request.is_json or request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate"
