"""The `/apiops` surface: a project's connections, and access tokens for client credentials (spec: connections-api).

connections     list, read, create, update, delete, test
auth            POST /apiops/auth/token
bodies          a request's body -> a JSON object, or what is wrong with it
answers         connections, deployments and tests -> the contract's bodies
documentation   what the operations of the OpenAPI document say alike
schemas         the schemas of connections there, made from the table of the types
"""

from flask import Flask

from app.apiops import auth, connections, schemas
from app.emails.office import Office
from app.web.openapi import openapi


def register(app: Flask, office: Office) -> None:
    """Add the routes, and what the OpenAPI document says of them."""
    document = openapi(app)
    schemas.add_to(document.spec)
    document.spec.components.security_scheme("client", auth.SECURITY_SCHEME)
    for blueprint in (connections.blueprint(office.registry), auth.blueprint(office.registry)):
        document.register_blueprint(blueprint)
