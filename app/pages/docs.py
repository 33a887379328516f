"""`/docs`: Swagger UI over `/openapi.json`, with files that the flask-swagger-ui package carries.

Not that package's own blueprint: its page has an inline script, which our policy refuses.
"""

from importlib import metadata
from importlib.resources import files

from flask import Blueprint, Response, abort, make_response, render_template, send_from_directory

from app.pages import policies
from app.settings import Settings

_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_YEAR_S = 365 * 24 * 3600


def create(settings: Settings) -> Blueprint:
    """`/docs` and `/docs/assets/...`."""
    docs = Blueprint("docs", __name__, url_prefix="/docs", template_folder=settings.templates_dir)
    distribution = str(files("flask_swagger_ui") / "dist")
    # In the addresses of the files, so that they may be kept for a year and still change with the package.
    version = metadata.version("flask-swagger-ui")

    @docs.get("", strict_slashes=False)
    def reference() -> Response:
        response = make_response(render_template("pages/docs.html", version=version, public_url=settings.public_url))
        response.headers["Content-Security-Policy"] = policies.DOCS
        return response

    @docs.get("/assets/<name>")
    def asset(name: str) -> Response:
        if name not in _ASSETS:
            abort(404)
        response = send_from_directory(distribution, name, mimetype=_ASSETS[name], max_age=_YEAR_S)
        response.cache_control.public = True
        response.cache_control.immutable = True
        return response

    return docs
