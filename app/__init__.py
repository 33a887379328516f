"""Letterbox: an email notification service. This is the map, in the order in which a request walks through it.

settings        environment -> one frozen Settings
errors, model   what can go wrong; the values that everything passes around
web             versions, the door (limits, tokens), CORS and headers, strict JSON, error bodies
api, apiops, intake, pages   the surfaces: /api, /apiops, /forms, and what a browser shows
forms           the use cases of web forms: what their owners set up, what becomes of a submission
emails          the use cases: send, look up, housekeeping
connections     the use cases: connections, projects, access tokens
guards          client address, throttle, blocks, cooldown
messages        EmailRequest -> the finished bytes
smtp            bytes -> accepted, or why not
inbox           the embedded SMTP inbox for a machine without an SMTP account
storage         the record
cli             the command line
"""

from flask import Flask

from app import api, apiops, intake, pages, web
from app.connections.start import demand_readable_connections
from app.emails.office import Office
from app.inbox import InboxStore, with_embedded_inbox
from app.model.clock import Clock, utc_now
from app.settings import Settings, load_settings
from app.storage.schema import migrate
from app.web.application import Application


def create_app(settings: Settings | None = None, *, clock: Clock = utc_now) -> Flask:
    """Assemble the service; settings default to the environment's. Raises SettingsInvalid and SelfTestFailed.

    The `Office` is `app.extensions["letterbox"]`; whoever serves the app closes it at the end.
    """
    settings = settings or load_settings()
    inbox: InboxStore | None = None
    if settings.runs_embedded_inbox:
        settings, inbox = with_embedded_inbox(settings)
    office = Office.open(settings, clock=clock)
    migrate(office.database)
    demand_readable_connections(settings, office.database)
    office.gate.remember_blocks()

    app = Application(__name__, static_folder=None)
    app.extensions["letterbox"] = office
    app.url_map.strict_slashes = False
    # Merging would redirect to the host that the client names, before anything else is asked.
    app.url_map.merge_slashes = False
    web.register(app, office)
    api.register(app, office)
    apiops.register(app, office)
    pages.register(app, settings=settings, inbox=inbox)
    intake.register(app, office)
    web.surround(app, office)
    return app
