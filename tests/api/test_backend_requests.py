"""What a caller with an access token may say more than a visitor, and that a visitor is not listened to."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.connections import access
from app.model.access import Permission
from tests.conftest import MakeService, Service, valid_request
from tests.smtp_server import Received, SMTPServer, refuse

OFFICE = "office@example.com"
SEND = Permission.EMAILS_SEND

Backend = Callable[..., TestResponse]


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def server(servers: ExitStack) -> SMTPServer:
    return servers.enter_context(SMTPServer())


@pytest.fixture
def visited(make_service: MakeService, server: SMTPServer) -> Service:
    return make_service(smtp_configurations=(server.configuration(),), reception_email=OFFICE)


@pytest.fixture
def post(visited: Service) -> Backend:
    """Posts as a backend; keywords are properties of the body."""
    token = _token(visited)
    return lambda **properties: visited.post(json=valid_request(**properties), headers=_bearer(token))


@pytest.fixture(scope="module")
def backend(module_service: Service) -> Backend:
    """The same at a service of the module's."""
    token = _token(module_service)
    return lambda **properties: module_service.post(json=valid_request(**properties), headers=_bearer(token))


def _token(service: Service, *permissions: Permission, project: str = "Mine") -> str:
    registry = service.app.extensions["letterbox"].registry
    return access.create_token(registry, project=project, permissions=permissions or (SEND,))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _only(server: SMTPServer) -> Received:
    (message,) = server.messages
    return message


def _addresses(message: Received, name: str) -> list[str]:
    field = message.parsed[name]
    return [] if field is None else [address.addr_spec for address in field.addresses]


def _errors(answer: TestResponse) -> dict[str, list[str]]:
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    errors: dict[str, list[str]] = answer.json["errors"]
    return errors


@pytest.mark.parametrize(
    ("headers", "written"),
    [
        ({}, "auto-generated"),
        ({"X-Note": "a"}, "auto-generated"),
        ({"Auto-Submitted": "no"}, "no"),
        ({"AUTO-SUBMITTED": "No"}, "No"),
        ({"auto-submitted": "auto-generated"}, "auto-generated"),
    ],
)
def test_a_backend_s_mail_says_that_a_program_wrote_it_unless_its_headers_say_no(
    post: Backend, server: SMTPServer, headers: dict[str, str], written: str
) -> None:
    assert post(Headers=headers).status_code == 201
    assert _only(server).parsed.get_all("Auto-Submitted") == [written]


@pytest.mark.parametrize("value", ["auto-replied", "yes", "", "no\r\nBcc: b@x.test", "no; auto-generated"])
def test_a_backend_says_nothing_else_of_who_wrote_it(post: Backend, server: SMTPServer, value: str) -> None:
    assert list(_errors(post(Headers={"Auto-Submitted": value}))) == ["Headers.Auto-Submitted"]
    assert server.messages == []


def test_a_visitor_s_headers_say_nothing_of_who_wrote_it(visited: Service, server: SMTPServer) -> None:
    assert visited.post(json=valid_request(Headers={"Auto-Submitted": "auto-generated"})).status_code == 201
    assert "Auto-Submitted" not in _only(server).parsed


def test_a_backend_names_its_recipients(post: Backend, server: SMTPServer) -> None:
    answer = post(To=["a@x.example", "b@x.example"], Cc=["c@x.example"], Bcc=["d@x.example", "e@x.example"])
    assert answer.status_code == 201
    assert answer.json is not None
    assert answer.json["receptionEmail"] == "a@x.example"
    assert answer.json["refusedRecipients"] == []
    message = _only(server)
    assert message.recipients == ("a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example")
    assert _addresses(message, "To") == ["a@x.example", "b@x.example"]
    assert _addresses(message, "Cc") == ["c@x.example"]
    assert message.parsed["Bcc"] is None
    assert b"d@x.example" not in message.data
    assert b"e@x.example" not in message.data


@pytest.mark.parametrize(
    "properties", [{}, {"To": []}, {"To": None}, {"Cc": ["c@x.example"]}, {"bcc": ["d@x.example"]}]
)
def test_without_a_to_the_configured_recipient_gets_the_mail(
    post: Backend, server: SMTPServer, properties: dict[str, Any]
) -> None:
    assert post(**properties).status_code == 201
    message = _only(server)
    assert _addresses(message, "To") == [OFFICE]
    assert message.recipients == (OFFICE, *(properties.get("Cc") or ()), *(properties.get("bcc") or ()))


def test_an_address_that_is_named_twice_gets_the_mail_once(post: Backend, server: SMTPServer) -> None:
    answer = post(
        To=["a@x.example", "a@X.EXAMPLE", "A@x.example"],
        Cc=["a@x.example", "j@bücher.example"],
        Bcc=["A@x.example", "j@xn--bcher-kva.example", "d@x.example"],
    )
    assert answer.status_code == 201
    message = _only(server)
    # Only a domain is the same in capitals.
    assert message.recipients == ("a@x.example", "A@x.example", "j@xn--bcher-kva.example", "d@x.example")
    assert _addresses(message, "To") == ["a@x.example", "A@x.example"]
    assert _addresses(message, "Cc") == ["j@xn--bcher-kva.example"]


def test_a_copy_for_somebody_who_is_in_to_leaves_no_empty_field(post: Backend, server: SMTPServer) -> None:
    assert post(To=["a@x.example"], Cc=["a@x.example"], Bcc=["a@x.example"]).status_code == 201
    assert _only(server).recipients == ("a@x.example",)
    assert _only(server).parsed["Cc"] is None


def test_replies_go_where_the_backend_says(post: Backend, server: SMTPServer) -> None:
    assert post(Username="Ada", ReplyTo="desk@x.example").status_code == 201
    assert _only(server).parsed["Reply-To"] == "desk@x.example"


def test_headers_are_added(post: Backend, server: SMTPServer) -> None:
    headers = {
        "X-Campaign": "frühling ✉️ 2026",
        "list-unsubscribe": "<https://x.example/u?a=1>, <mailto:u@x.example?subject=stop>",
        "In-Reply-To": "<1@x.example>",
        "REFERENCES": " ".join(f"<{number}@a-long-domain.example.com>" for number in range(20)),
    }
    assert post(Headers=headers).status_code == 201
    message = _only(server)
    assert {name: message.parsed[name] for name in headers} == headers
    head, _, _ = message.data.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    ("value", "property_name", "sentence"),
    [
        ("a@x.example", "{name}", "The {name} field must be an array of addresses, not a single string."),
        ({"a@x.example": 1}, "{name}", "The {name} field must be an array of addresses."),
        (7, "{name}", "The {name} field must be an array of addresses."),
        (["a@x.example", "b"], "{name}[1]", "The {name}[1] field is not a valid e-mail address."),
        (["a@x.example", ""], "{name}[1]", "The {name}[1] field is not a valid e-mail address."),
        (["a@x.example", None], "{name}[1]", "The {name}[1] field must be a string."),
        (["a@x.example", ["b@x.example"]], "{name}[1]", "The {name}[1] field must be a string."),
        (["a@x.example, b@x.example"], "{name}[0]", "The {name}[0] field is not a valid e-mail address."),
        (["Ada <a@x.example>"], "{name}[0]", "The {name}[0] field is not a valid e-mail address."),
        (["a@x.example\r\nBcc: b@x.example"], "{name}[0]", "The {name}[0] field is not a valid e-mail address."),
        (['"a b"@x.example'], "{name}[0]", "The {name}[0] field is not a valid e-mail address."),
        (["a@[127.0.0.1]"], "{name}[0]", "The {name}[0] field is not a valid e-mail address."),
        (["=?utf-8?q?a?=@x.example"], "{name}[0]", "The {name}[0] field is not a valid e-mail address."),
        (["a@" + "ü" * 63 + ".example"], "{name}[0]", "The {name}[0] field is not a valid e-mail address."),
        (["x" * 300 + "@x.example"], "{name}[0]", "The {name}[0] field is not a valid e-mail address."),
        (["a@x.example"] * 51, "{name}", "The {name} field must have at most 50 addresses."),
    ],
)
def test_bad_recipients_are_refused_by_name(
    service: Service, backend: Backend, value: Any, property_name: str, sentence: str
) -> None:
    for name in ("To", "Cc", "Bcc"):
        assert _errors(backend(**{name: value})) == {property_name.format(name=name): [sentence.format(name=name)]}
    assert service.inbox.list() == []


@pytest.mark.parametrize(
    ("properties", "errors"),
    [
        ({"ReplyTo": "x"}, {"ReplyTo": ["The ReplyTo field is not a valid e-mail address."]}),
        ({"ReplyTo": ["a@x.example"]}, {"ReplyTo": ["The ReplyTo field must be a string."]}),
        ({"ReplyTo": "a@x.example, b@x.example"}, {"ReplyTo": ["The ReplyTo field is not a valid e-mail address."]}),
        ({"Headers": []}, {"Headers": ["The Headers field must be an object of texts."]}),
        ({"Headers": {"X-A": 1}}, {"Headers.X-A": ["The Headers.X-A field must be a string."]}),
        ({"Headers": {"X" * 1000: 1}}, {f"Headers.{'X' * 76}": [f"The Headers.{'X' * 76} field must be a string."]}),
        ({"Headers": {"X-A": None}}, {"Headers.X-A": ["The Headers.X-A field must be a string."]}),
        (
            {"Headers": {f"X-{number}": "a" for number in range(51)}},
            {"Headers": ["The Headers field must have at most 50 entries."]},
        ),
        (
            {"Headers": {"Bcc": "a@x.example"}},
            {"Headers.Bcc": ["The Headers field allows X-*, List-*, In-Reply-To, References and Auto-Submitted only."]},
        ),
        (
            {"Headers": {"x-email-id": "1"}},
            {"Headers.x-email-id": ["The header x-email-id is written by the service."]},
        ),
        (
            {"Headers": {"X-A": "a\r\nBcc: b@x.example"}},
            {"Headers.X-A": ["The Headers.X-A field must not contain line breaks or control characters."]},
        ),
        ({"To": ["a@x.example"], "to": ["b@x.example"]}, {"To": ["The To field is given more than once."]}),
        (
            {"To": ["a@x.example"] * 20, "Cc": ["b@x.example"] * 20, "Bcc": ["c@x.example"] * 11},
            {"To": ["The To, Cc and Bcc fields must have at most 50 addresses together."]},
        ),
    ],
)
def test_what_else_is_wrong_is_refused_by_name(
    service: Service, backend: Backend, properties: dict[str, Any], errors: dict[str, list[str]]
) -> None:
    assert _errors(backend(**properties)) == errors
    assert service.inbox.list() == []


def test_everything_that_is_wrong_is_said_at_once(post: Backend) -> None:
    errors = _errors(post(Email="x", To=["y"], Cc="z", ReplyTo="w", Headers={"Bcc": "v", "X-A": "\n"}))
    assert errors.keys() == {"Email", "To[0]", "Cc", "ReplyTo", "Headers.Bcc", "Headers.X-A"}


def test_as_many_recipients_as_the_setting_says(post: Backend, server: SMTPServer) -> None:
    people = [f"person-{number}@x.example" for number in range(50)]
    assert post(To=people[:20], Cc=people[20:30], Bcc=people[30:]).status_code == 201
    assert _only(server).recipients == tuple(people)


IGNORED: list[dict[str, Any]] = [
    {
        "To": ["a@x.example"],
        "Cc": ["b@x.example"],
        "Bcc": ["c@x.example"],
        "ReplyTo": "d@x.example",
        "Headers": {"X-A": "e"},
    },
    {"to": "a@x.example", "CC": 7, "bCC": {}, "replyto": ["x"], "headers": "\r\nBcc: a@x.example"},
    {"To": ["no address"] * 1000, "Headers": {"Bcc": "a\r\nb"}},
    {"To": ["a@x.example"], "tO": ["b@x.example"], "HEADERS": {"X-A": "b"}, "Headers": {"X-A": "a"}},
]


@pytest.mark.parametrize("properties", IGNORED)
def test_a_visitor_is_not_listened_to_however_it_says_it(
    visited: Service, server: SMTPServer, properties: dict[str, Any]
) -> None:
    request = valid_request(**properties)
    assert visited.post(json=request).status_code == 201
    message = _only(server)
    assert message.recipients == (OFFICE,)
    assert message.parsed["To"] == OFFICE
    assert message.parsed["Reply-To"] == request["Email"]
    assert not {"cc", "bcc", "x-a"} & {name.lower() for name in message.parsed}


@pytest.mark.parametrize("shown", ["Bearer lbx_wrong", "Bearer ", "Basic YTpi", "bearer \xe9"])
def test_a_wrong_token_never_counts_as_a_visitor(visited: Service, server: SMTPServer, shown: str) -> None:
    answer = visited.post(headers={"Authorization": shown})
    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert server.messages == []


def test_a_token_without_the_permission_is_refused(visited: Service, server: SMTPServer) -> None:
    token = _token(visited, Permission.EMAILS_VIEW, Permission.CONNECTIONS_MANAGE)
    answer = visited.post(headers=_bearer(token))
    assert answer.status_code == 403
    assert answer.mimetype == "application/problem+json"
    assert server.messages == []


def test_who_was_refused_although_others_got_it_is_told(make_service: MakeService, servers: ExitStack) -> None:
    server = servers.enter_context(SMTPServer(faults={"RCPT": refuse("gone@x.example")}))
    service = make_service(smtp_configurations=(server.configuration(),), reception_email=OFFICE)
    headers = _bearer(_token(service))
    answer = service.post(
        json=valid_request(To=["a@x.example", "gone@x.example"], Bcc=["b@x.example"]), headers=headers
    )
    assert answer.status_code == 201
    assert answer.json is not None
    assert list(answer.json)[-1] == "refusedRecipients"
    assert answer.json["refusedRecipients"] == ["gone@x.example"]
    assert _only(server).recipients == ("a@x.example", "b@x.example")
    assert service.client.get(answer.headers["Location"], headers=headers).json == answer.json


def test_html_of_a_backend_goes_as_given_and_of_a_visitor_sanitised(
    visited: Service, post: Backend, server: SMTPServer
) -> None:
    body = {"EmailTemplate": '<p onclick="x()">{Message}</p>', "IsHtml": True}
    post(**body)
    visited.post(json=valid_request(**body))
    written = [message.parsed.get_body(("html",)) for message in server.messages]
    assert [part is not None and "onclick" in part.get_content() for part in written] == [True, False]


def test_the_document_says_who_is_listened_to(visited: Service) -> None:
    document = visited.client.get("/openapi.json").json
    assert document is not None
    properties = document["components"]["schemas"]["EmailRequest"]["properties"]
    for name in ("To", "Cc", "Bcc", "ReplyTo", "Headers"):
        assert "access token" in properties[name]["description"]
    assert properties["To"]["type"] == "array"
    assert properties["To"]["items"] == {"type": "string", "format": "email"}
    assert properties["Headers"]["additionalProperties"] == {"type": "string"}


def test_a_blank_reply_to_is_no_address_and_is_not_called_required(post: Backend) -> None:
    for blank in ("", "  "):
        answer = post(ReplyTo=blank)
        assert answer.status_code == 400
        assert answer.json is not None
        assert answer.json["errors"]["ReplyTo"] == ["The ReplyTo field is not a valid e-mail address."]
