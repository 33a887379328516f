"""The helper of the other tests here: what it says of a page is so."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask, Response, request
from werkzeug.serving import make_server

from tests.browser.browser import Browser

PAGE = """<!DOCTYPE html><title>Form</title>
<form method="post" enctype="multipart/form-data" action="/sent">
<label>Name <input name="name"></label> <input type="file" name="file">
<button>Send</button></form>
<p id="script">off</p><p id="dark"></p>
<script src="/script.js"></script>"""
SCRIPT = """document.querySelector("#script").textContent = "on";
document.querySelector("#dark").textContent = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";"""


def site() -> Flask:
    app = Flask(__name__, static_folder=None)

    @app.get("/")
    def form() -> Response:
        return Response(PAGE, headers={"Content-Security-Policy": "script-src 'self'"}, mimetype="text/html")

    @app.get("/inline")
    def inline() -> Response:
        page = "<script>document.title = 'ran'</script>"
        return Response(page, headers={"Content-Security-Policy": "script-src 'self'"}, mimetype="text/html")

    @app.get("/script.js")
    def script() -> Response:
        return Response(SCRIPT, mimetype="text/javascript")

    @app.post("/sent")
    def sent() -> str:
        files = ", ".join(f"{file.filename} {len(file.read())}" for file in request.files.values())
        return f"{request.form['name']} | {files} | {request.headers['Accept-Language']} | {request.headers['Origin']}"

    return app


@contextmanager
def serving(app: Flask) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(site()) as port:
        yield port


@pytest.mark.parametrize("javascript", [True, False])
def test_a_form_is_filled_in_and_sent(browser: Browser, port: int, tmp_path: Path, javascript: bool) -> None:
    (tmp_path / "photo.png").write_bytes(b"12345")
    with browser.page(javascript=javascript, language="de") as page:
        page.open(f"http://shop.example:{port}/")
        assert page.text("#script") == ("on" if javascript else "off")
        page.type("[name=name]", "Anna Ł")
        assert page.value("[name=name]") == "Anna Ł"
        page.choose_file("[type=file]", tmp_path / "photo.png")
        page.click("button", navigates=True)
        assert page.text() == f"Anna Ł | photo.png 5 | de | http://shop.example:{port}"
        assert f"POST http://shop.example:{port}/sent" in page.requests
        assert [problem for problem in page.problems if "favicon" not in problem] == []


def test_a_violated_policy_is_a_problem(browser: Browser, port: int) -> None:
    with browser.page() as page:
        page.open(f"http://127.0.0.1:{port}/inline")
        assert any("Content Security Policy" in problem for problem in page.problems)


def test_a_window_can_be_narrow_and_dark(browser: Browser, port: int) -> None:
    with browser.page(width=360, dark=True) as page:
        page.open(f"http://127.0.0.1:{port}/")
        assert page.text("#dark") == "dark"
        assert page.evaluate("innerWidth") >= 360
        assert page.evaluate("screen.width") == 360


def test_what_is_not_there_cannot_be_clicked_and_what_does_not_come_is_said(browser: Browser, port: int) -> None:
    with browser.page() as page:
        page.open(f"http://127.0.0.1:{port}/")
        with pytest.raises(AssertionError, match="is not on"):
            page.click("#nothing")
        with pytest.raises(AssertionError, match="is still"):
            page.wait_for("false", timeout_s=0.2)


def test_nothing_outside_this_machine_is_reached(browser: Browser) -> None:
    with browser.page() as page, pytest.raises(AssertionError, match="ERR_NAME_NOT_RESOLVED"):
        page.open("http://www.wikipedia.org/")
