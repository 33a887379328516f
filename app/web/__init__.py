"""What every surface shares: versions, CORS and headers, strict JSON, the guards' place at the door, error bodies."""

from flask import Flask

from app.emails.office import Office
from app.web import door, errors, headers, own_url, probes
from app.web.header_limits import HeaderLimits
from app.web.versions import VersionNegotiation, supported_versions


def register(app: Flask, office: Office) -> None:
    """Everything around the views, outermost first."""
    app.config["MAX_CONTENT_LENGTH"] = office.settings.limits.request_body
    headers.register(app, office.settings)
    door.register(app, office)
    errors.register(app)
    probes.register(app, office)


def surround(app: Flask, office: Office) -> None:
    """What happens before routing, innermost first; called last, because the routes say which versions there are."""
    versions = supported_versions(app.url_map.iter_rules())
    app.wsgi_app = VersionNegotiation(app.wsgi_app, versions)  # type: ignore[method-assign]
    own_url.register(app, office.settings)
    app.wsgi_app = HeaderLimits(app.wsgi_app, office.settings.guards, office.gate)  # type: ignore[method-assign]
