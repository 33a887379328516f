"""The `/api` surface: one file per resource, the schemas they share, and the OpenAPI document."""

from flask import Flask
from flask_smorest import Api

from app.api import emails, smtp_configurations, versiontest
from app.api.documentation import ProblemSchema
from app.emails.office import Office

_DESCRIPTION = """\
Letterbox sends one email per request and answers with the truth: `Sent`, failed, or uncertain.

Every call names an API version: in the path (`/api/v1/...`, as below), in the query (`/api/...?api-version=1.0`) or in
the header `X-Version: 1.0`.
"""


def register(app: Flask, office: Office) -> None:
    """Add the routes, and `/openapi.json` that describes them."""
    app.config.update(
        API_TITLE="Letterbox",
        API_VERSION="1.0",
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={"info": {"description": _DESCRIPTION}},
    )
    api = _OpenAPI(app)
    for blueprint in (emails.blueprint(office), smtp_configurations.blueprint(office), versiontest.blueprint()):
        api.register_blueprint(blueprint)


class _OpenAPI(Api):  # type: ignore[misc]
    """flask-smorest's document and routes, with this service's own errors."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        """Errors become answers in `web.errors`, for every surface alike."""
