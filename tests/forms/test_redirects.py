"""Where visitors may be sent, and above all where not."""

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forms.redirects import redirect_target, wanted_redirect
from app.forms.submission import Submission, Visitor
from app.model.form import Form

OWN = "https://mail.example"
FORM = Form(
    key="contact",
    name="Contact",
    recipients=("office@example.com",),
    allowed_origins=("https://www.example.com", "http://127.0.0.1:4000"),
    redirect_targets=("https://shop.example/thanks", "https://pay.example/ok?step=2", "https://dir.example/a/"),
)
VISITOR = Visitor(
    client="203.0.113.7",
    origin="https://www.example.com",
    page="https://www.example.com/shop/contact.html?x=1",
    own_origin=OWN,
)


@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        ("https://www.example.com/thanks", "https://www.example.com/thanks"),
        ("  https://www.example.com/thanks ", "https://www.example.com/thanks"),
        ("https://www.example.com", "https://www.example.com/"),
        ("https://www.example.com?sent=1", "https://www.example.com/?sent=1"),
        ("HTTPS://WWW.Example.COM:443/a?b#c", "https://www.example.com/a?b#c"),
        ("http://127.0.0.1:4000/a", "http://127.0.0.1:4000/a"),
        ("https://mail.example/forms/demo", "https://mail.example/forms/demo"),
        ("https://www.example.com/çok teşekkürler", "https://www.example.com/%C3%A7ok%20te%C5%9Fekk%C3%BCrler"),
        ("https://www.example.com/100%25", "https://www.example.com/100%25"),
        ("/thanks", "https://www.example.com/thanks"),
        ("thanks.html", "https://www.example.com/shop/thanks.html"),
        ("../thanks.html", "https://www.example.com/thanks.html"),
        ("?sent=1", "https://www.example.com/shop/contact.html?sent=1"),
        ("#sent", "https://www.example.com/shop/contact.html?x=1#sent"),
        ("a?next=https://evil.example", "https://www.example.com/shop/a?next=https://evil.example"),
        ("https://shop.example/thanks", "https://shop.example/thanks"),
        ("https://shop.example/thanks/you?a=1", "https://shop.example/thanks/you?a=1"),
        ("https://shop.example/thanks?a=1", "https://shop.example/thanks?a=1"),
        ("https://pay.example/ok?step=2", "https://pay.example/ok?step=2"),
        ("https://dir.example/a/b", "https://dir.example/a/b"),
    ],
)
def test_a_page_of_the_owner_is_a_target(wanted: str, target: str) -> None:
    assert redirect_target(FORM, wanted, VISITOR) == target


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        " ",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "https:\\\\evil.example",
        "javascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "mailto:a@b.example",
        "https://evil.example",
        "https://evil.example/https://www.example.com/",
        "http://www.example.com/",
        "https://www.example.com:8443/",
        "https://www.example.com:/",
        "https://www.example.com:00443/",
        "https://www.example.com:999999/",
        "https://www.example.com@evil.example/",
        "https://user@www.example.com/",
        "https://www.example.com\\@evil.example/",
        "https://www.example.com.evil.example/",
        "https://www.example.com./",
        "https://evil.example#https://www.example.com/",
        "https://www.example.com\r\nSet-Cookie: a=b",
        "https://www.example.com/\x00",
        "/a\nb",
        "\t//evil.example",
        "https://www.examp\u0131e.com/",
        "https://www.example\u3002com/",
        "http\u017f://www.example.com/",
        "https://[::1]/",
        "https://shop.example/",
        "https://shop.example/thanksgiving",
        "https://shop.example/thanks/../evil",
        "https://shop.example/thanks/%2e%2E/evil",
        "https://shop.example/thanks/.%2e/evil",
        "https://pay.example/ok",
        "https://pay.example/ok?step=3",
        "https://pay.example/ok/b?step=2",
        "https://www.example.com/" + "a" * 2000,
    ],
)
def test_anything_else_is_none(wanted: str) -> None:
    assert redirect_target(FORM, wanted, VISITOR) is None


def test_a_relative_address_leads_nowhere_without_a_page_of_the_form() -> None:
    stranger = Visitor(client="", origin="https://evil.example", page="https://evil.example/a", own_origin=OWN)
    assert redirect_target(FORM, "/thanks", stranger) is None
    silent = Visitor(client="", origin=None, page=None, own_origin=OWN)
    assert redirect_target(FORM, "/thanks", silent) is None


def test_a_relative_address_is_resolved_against_the_origin_where_the_page_is_not_said() -> None:
    visitor = Visitor(client="", origin="https://www.example.com", page=None, own_origin=OWN)
    assert redirect_target(FORM, "thanks.html", visitor) == "https://www.example.com/thanks.html"


def test_a_page_on_the_developers_machine_leads_back_to_itself_alone() -> None:
    visitor = Visitor(client="", origin="http://localhost:3000", page="http://localhost:3000/a", own_origin=OWN)
    assert redirect_target(FORM, "/thanks", visitor) == "http://localhost:3000/thanks"
    assert redirect_target(FORM, "http://localhost:3001/thanks", visitor) is None
    assert redirect_target(FORM, "http://localhost:3000/thanks", VISITOR) is None


@pytest.mark.parametrize("control", ["_next", "redirect", "Redirect", "_NEXT"])
def test_both_dialects_name_it(control: str) -> None:
    submission = Submission(fields=((control, "/thanks"),))
    assert wanted_redirect(FORM, submission, VISITOR) == "https://www.example.com/thanks"
    assert wanted_redirect(FORM, Submission(fields=(("next", "/thanks"),)), VISITOR) is None


_PIECES = st.sampled_from(
    [
        "https:",
        "http:",
        "//",
        "/",
        "\\",
        "www.example.com",
        "evil.example",
        "shop.example",
        "/thanks",
        "..",
        "%2e",
        "@",
        ":",
        ":443",
        ":80",
        "?",
        "#",
        "javascript:",
        "\t",
        "\n",
        " ",
        ".",
        "a",
        "%2f",
        "%5c",
        "[",
        "]",
        "。",
        "ß",
    ]
)


@given(st.one_of(st.lists(_PIECES, max_size=8).map("".join), st.text(max_size=40)))
def test_whatever_is_returned_leads_to_an_allowed_origin_for_every_reader(wanted: str) -> None:
    target = redirect_target(FORM, wanted, VISITOR)
    if target is None:
        return
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    for origin, path in (_as_python_reads(target), _as_browsers_read(target)):
        is_allowed = origin in (*FORM.allowed_origins, OWN)
        assert (
            is_allowed
            or (origin == "https://shop.example" and (path == "/thanks" or path.startswith("/thanks/")))
            or (origin == "https://dir.example" and path.startswith("/a/"))
        )


def _as_python_reads(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}", parts.path


def _as_browsers_read(address: str) -> tuple[str, str]:
    """The URL standard's parser, as far as it matters here."""
    address = re.sub("[\t\n\r]", "", address).strip("".join(map(chr, range(0x21))))
    scheme, _, rest = address.partition(":")
    authority, slash, path = rest.replace("\\", "/").lstrip("/").partition("/")
    for end in "?#":
        authority = authority.partition(end)[0]
        path = path.partition(end)[0]
    segments: list[str] = []
    for segment in path.split("/"):
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            segments = segments[:-1]
        elif plain != ".":
            segments.append(segment)
    return f"{scheme.lower()}://{authority.rpartition('@')[2].lower()}", slash + "/".join(segments)
