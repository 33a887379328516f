"""The `/api` surface: one file per resource, and the schemas they share."""

from flask import Flask

from app.api import emails, smtp_configurations, versiontest
from app.emails.office import Office
from app.web.openapi import openapi


def register(app: Flask, office: Office) -> None:
    """Add the routes, and what the OpenAPI document says of them."""
    document = openapi(app, public_url=office.settings.public_url)
    for blueprint in (emails.blueprint(office), smtp_configurations.blueprint(office), versiontest.blueprint()):
        document.register_blueprint(blueprint)
