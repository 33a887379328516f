"""`POST /apiops/auth/token`: client credentials -> an access token (RFC 6749, sections 2.3.1, 4.4 and 5)."""

from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from urllib.parse import unquote_plus

from flask import Response, jsonify, request

from app.apiops.documentation import APIOpsBlueprint, TokenSchema
from app.connections.access import exchange
from app.connections.registry import Registry
from app.errors import ClientRejected
from app.web.apiops_errors import refusal
from app.web.authentication import access

_FORM = "application/x-www-form-urlencoded"
_GRANT = "client_credentials"

SECURITY_SCHEME = {"type": "http", "scheme": "basic", "description": "A client's id and secret."}

_BODY_LIMIT = 16 * 1024
"""Octets: werkzeug takes sixty times as much memory for a form of nothing but escapes."""

_REQUEST_BODY = {
    "required": True,
    "content": {
        _FORM: {
            "schema": {
                "type": "object",
                "required": ["grant_type"],
                "properties": {
                    "grant_type": {"type": "string", "enum": [_GRANT]},
                    "client_id": {"type": "string", "example": "YOUR_CLIENT_ID"},
                    "client_secret": {"type": "string", "format": "password", "example": "YOUR_CLIENT_SECRET"},
                },
            }
        }
    },
}


class _Malformed(Exception):
    """The request is not one of RFC 6749; the text is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Credentials:
    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return f"_Credentials(client_id={self.client_id!r})"


def blueprint(registry: Registry) -> APIOpsBlueprint:
    """The route, knowing this registry's clients."""
    routes = APIOpsBlueprint(
        "auth", __name__, url_prefix="/apiops/auth", description="Access tokens for client credentials."
    )

    @routes.route("/token", methods=["POST"])
    @routes.doc(requestBody=_REQUEST_BODY, security=[{}, {"client": []}])
    @routes.response(200, TokenSchema(), description="An access token that is valid for an hour.")
    @routes.refusals(
        s400="`invalid_request`: a parameter is missing or given twice; `unsupported_grant_type`: another grant.",
        s401="The client is unknown or revoked, or the secret is another one.",
        s413="The body is larger than allowed.",
    )
    @access(is_open=True)
    def create_token() -> Response:
        """Exchange client credentials for an access token

        The credentials stand in the form, or in HTTP Basic.
        """
        request.max_content_length = _BODY_LIMIT
        try:
            grant = _parameter("grant_type")
            if grant != _GRANT:
                return refusal(400, "unsupported_grant_type", f"The grant_type must be {_GRANT}.")
            credentials = _credentials()
        except _Malformed as error:
            return refusal(400, "invalid_request", str(error))
        token = exchange(registry, client_id=credentials.client_id, client_secret=credentials.client_secret)
        response = jsonify({"access_token": token.access_token, "token_type": "Bearer", "expires_in": token.expires_in})
        response.headers["Pragma"] = "no-cache"
        return response

    return routes


def _credentials() -> _Credentials:
    """From HTTP Basic or from the form; a client that uses both is refused (section 2.3)."""
    scheme, _, encoded = request.headers.get("Authorization", "").strip().partition(" ")
    if not scheme:
        return _Credentials(client_id=_parameter("client_id"), client_secret=_parameter("client_secret"))
    if scheme.lower() != "basic":
        raise ClientRejected
    if "client_secret" in request.form:
        raise _Malformed("The client's credentials stand in the form or in the Authorization header, not in both.")
    try:
        name, _, secret = b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (Base64Error, UnicodeDecodeError):
        raise ClientRejected from None
    return _Credentials(client_id=unquote_plus(name), client_secret=unquote_plus(secret))


def _parameter(name: str) -> str:
    """A parameter of the form. One without a value counts as missing, one given twice is an error (section 3.2)."""
    if request.mimetype != _FORM:
        raise _Malformed(f"The request body must be {_FORM}.")
    values = request.form.getlist(name)
    if len(values) > 1:
        raise _Malformed(f"The parameter {name} is given more than once.")
    if not values or not values[0]:
        raise _Malformed(f"The parameter {name} is missing.")
    return values[0]
