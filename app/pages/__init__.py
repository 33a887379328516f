"""What a browser shows: the landing page, the API's documentation, and the embedded inbox where it runs.

    landing      /, and the static files under /assets
    docs         /docs: Swagger UI, served from this host
    inbox        /inbox: the list, a message, deleting
    demo         /demo: a form, and the mail that it becomes beside it; only where the inbox runs
    contents     what a message carries: its HTML for a frame, its source, its attachments
    preview      HTML mail -> what may be shown in that frame
    visitor      who may see the inbox and the demo: names of this host, requests of these pages
    policies     the Content-Security-Policy of each kind of answer

Templates are in `templates/pages/`. Everything works without JavaScript; scripts and styles are files of this host.
"""

from flask import Flask

from app.inbox.store import InboxStore
from app.pages import demo, docs, landing, policies
from app.pages import inbox as inbox_pages
from app.settings import Settings


def register(app: Flask, *, settings: Settings, inbox: InboxStore | None) -> None:
    """Add the pages; `inbox` is None where the embedded inbox does not run, and then its pages do not exist."""
    has_inbox = inbox is not None
    blueprints = [landing.create(settings, has_inbox=has_inbox), docs.create(settings)]
    if inbox is not None:
        blueprints += [inbox_pages.create(settings, inbox), demo.create(settings, inbox)]
    for blueprint in blueprints:
        blueprint.context_processor(lambda: {"has_inbox": has_inbox})
        blueprint.after_request(policies.protect_page)
        app.register_blueprint(blueprint)
