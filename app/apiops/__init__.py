"""The `/apiops` surface: a project's connections (spec: connections-api) and web forms, and tokens for its clients.

connections     list, read, create, update, delete, test
forms           list, read, create, update, delete
auth            POST /apiops/auth/token
bodies          a request's body -> a JSON object, or what is wrong with it
answers         connections, deployments and tests -> the contract's bodies
documentation   what the operations of the OpenAPI document say alike
schemas         the schemas of connections there, made from the table of the types
form_documentation   those of forms, made from the table of their fields
"""

from flask import Flask

from app.apiops import auth, connections, form_documentation, forms, schemas
from app.emails.office import Office
from app.web.openapi import openapi


def register(app: Flask, office: Office) -> None:
    """Add the routes, and what the OpenAPI document says of them."""
    document = openapi(app, public_url=office.settings.public_url)
    document.describe(lambda: schemas.add_to(document.spec))
    document.describe(lambda: form_documentation.add_to(document.spec))
    document.spec.components.security_scheme("client", auth.SECURITY_SCHEME)
    for blueprint in (
        connections.blueprint(office.registry),
        forms.blueprint(office),
        auth.blueprint(office.registry),
    ):
        document.register_blueprint(blueprint)
