"""`/demo`: a form to fill in, and the mail that it becomes beside it. Only where the embedded inbox runs.

The form is posted to `/forms/default` as any page of anybody would do it. Without JavaScript the visitor comes back
from the thank-you page and finds the mail here; with it `demo.js` sends the form and asks for the mail until it comes.
"""

import re

from flask import Blueprint, Response, abort, make_response, render_template
from werkzeug.exceptions import Forbidden, HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app.inbox.message import StoredMessage
from app.inbox.store import InboxStore
from app.model.form import DEFAULT_KEY
from app.pages.visitor import keep_private
from app.settings import Settings
from app.web.own_url import own_url

_REFERENCE = re.compile(r"[0-9A-Z]{8}", re.ASCII)
_CARRIES_REFERENCE = "x-email-id"
_NEWEST = 5
"""Among so many messages the visitor's own is looked for: it came a moment ago."""


def create(settings: Settings, store: InboxStore) -> Blueprint:
    """`/demo` and `/demo/mail/{reference}`."""
    demo = Blueprint("demo", __name__, url_prefix="/demo", template_folder=settings.templates_dir)

    # There is mail on this page, so it is as private as the inbox.
    keep_private(demo, settings, what="demo")

    @demo.get("", strict_slashes=False)
    def form() -> str:
        newest = next(iter(store.ids()), None)
        message = store.get(newest) if newest is not None else None
        return render_template("pages/demo.html", key=DEFAULT_KEY, message=message, own_url=own_url(settings))

    @demo.get("/mail/<reference>")
    def mail(reference: str) -> AnyResponse:
        """The part of the page with that mail; 204 while it has not arrived."""
        if not _REFERENCE.fullmatch(reference):
            abort(404)
        message = find_mail(store, reference)
        if message is None:
            return Response(status=204)
        return make_response(render_template("pages/_demo_mail.html", message=message))

    demo.register_error_handler(Forbidden, _refusal)
    return demo


def find_mail(store: InboxStore, reference: str) -> StoredMessage | None:
    """The message that a submission became, among the newest."""
    for id in store.ids()[:_NEWEST]:
        message = store.get(id)
        if message is not None and (_CARRIES_REFERENCE, reference) in (
            (name.lower(), value) for name, value in message.headers
        ):
            return message
    return None


def _refusal(error: HTTPException) -> tuple[str, int]:
    return render_template("pages/error.html", code=403, explanation=error.description), 403
