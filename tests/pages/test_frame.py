"""The HTML of a mail as it stands in the sandboxed frame."""

import base64

import pytest
from flask.testing import FlaskClient

from app.inbox import InboxStore
from app.inbox.message import StoredAttachment
from app.pages.preview import INLINED_LIMIT, framed
from tests.pages.mail import deliver


def image(content: bytes = b"PNG", content_type: str = "image/png") -> StoredAttachment:
    return StoredAttachment(
        number=1, file_name="a.png", content_type=content_type, content_id="logo@x", content=content
    )


def test_the_frame_can_do_nothing_and_load_nothing(client: FlaskClient, store: InboxStore) -> None:
    id = deliver(store, html="<script>alert(1)</script><img src=https://tracker.example/x.png>")
    response = client.get(f"/inbox/{id}/html")
    policy = response.headers["Content-Security-Policy"]
    directives = {directive.split(" ")[0]: directive.split(" ")[1:] for directive in policy.split("; ")}
    assert directives["default-src"] == ["'none'"]
    assert directives["img-src"] == ["data:"]
    assert directives["form-action"] == ["'none'"]
    assert not {"script-src", "connect-src", "frame-src"} & directives.keys()
    assert not {"allow-scripts", "allow-same-origin", "allow-forms"} & set(directives["sandbox"])


def test_only_our_own_pages_may_frame_it(client: FlaskClient, store: InboxStore) -> None:
    response = client.get(f"/inbox/{deliver(store, html='<p>Hi</p>')}/html")
    assert "frame-ancestors 'self'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_the_mail_is_shown_as_it_was_written(client: FlaskClient, store: InboxStore) -> None:
    html = "<p class=x>Zażółć &amp; {{ 7*7 }}</p>"
    response = client.get(f"/inbox/{deliver(store, html=html)}/html")
    assert html in response.text
    assert response.content_type == "text/html; charset=utf-8"


def test_the_doctype_stays_first_so_that_no_mail_falls_into_quirks_mode() -> None:
    assert framed("<!DOCTYPE html><p>", []) == '<!DOCTYPE html><base target="_blank"><p>'
    assert framed("<p>", []) == '<base target="_blank"><p>'


def test_attached_images_are_inlined() -> None:
    shown = framed('<img src="cid:logo@x"><img src="cid:other">', [image()])
    assert f'src="data:image/png;base64,{base64.b64encode(b"PNG").decode()}"' in shown
    assert 'src="cid:other"' in shown


@pytest.mark.parametrize("content_type", ['image/png"><script>', "text/html"])
def test_a_content_type_cannot_break_out_of_the_image(content_type: str) -> None:
    assert "<script>" not in framed('<img src="cid:logo@x">', [image(content_type=content_type)])


def test_an_image_named_a_thousand_times_does_not_grow_the_page_without_end() -> None:
    shown = framed('<img src="cid:logo@x">' * 1000, [image(b"x" * 1_000_000)])
    assert len(shown) < INLINED_LIMIT * 1.1


def test_a_colour_scheme_can_be_chosen_for_the_mail() -> None:
    html = "<style>:root{color-scheme:light dark} @media (prefers-color-scheme: dark) and (width > 1px) {}</style>"
    assert "@media (min-width: 0) and" in framed(html, [], scheme="dark")
    assert "color-scheme: dark !important" in framed(html, [], scheme="dark")
    assert "@media (max-width: 0) and" in framed(html, [], scheme="light")
    assert html in framed(html, [])
    assert html in framed(html, [], scheme="<script>")


def test_a_mail_without_dark_colours_stays_on_white_in_the_dark() -> None:
    assert "color-scheme" not in framed("<p>Hi</p>", [], scheme="dark")
