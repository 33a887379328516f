"""The whole service for a browser, with workers, and websites of other origins with pages that a test writes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort
from sqlalchemy import func, select
from werkzeug.serving import WSGIRequestHandler, make_server

from app.emails.office import Office
from app.emails.workers import Workers
from app.forms import operator
from app.inbox import InboxStore
from app.inbox.message import StoredMessage
from app.model.form import Form
from app.storage.tables import emails
from tests.conftest import assembling


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@contextmanager
def serving(app: Flask) -> Iterator[int]:
    """Serve `app` on a free port of 127.0.0.1; gives the port."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True, slots=True)
class Served:
    """A service that a browser can reach at `url`."""

    url: str
    office: Office
    inbox: InboxStore

    def arrived(self, *, timeout_s: float = 20.0) -> StoredMessage:
        """The newest message, as soon as there is one."""
        deadline = time.monotonic() + timeout_s
        while not (ids := self.inbox.ids()):
            assert time.monotonic() < deadline, "no mail arrived"
            time.sleep(0.05)
        message = self.inbox.get(ids[0])
        assert message is not None
        return message

    def received(self, form: Form) -> int:
        """How many submissions of a form are on record, delivered or not."""
        count = select(func.count()).select_from(emails).where(emails.c.form_key == form.key)
        return self.office.database.read(lambda connection: int(connection.execute(count).scalar_one()))

    def new_form(self, name: str, **fields: Any) -> Form:
        return operator.create_form(self.office, "Shop", name, {"recipients": ["office@example.com"]} | fields)


@contextmanager
def served_service(directory: Path, **changes: Any) -> Iterator[Served]:
    """With the embedded inbox and its own workers; keywords change the settings."""
    with assembling(directory) as make:
        service = make(secret_keys=("a key that only these tests know, and long enough",), **changes)
        office: Office = service.app.extensions["letterbox"]
        workers = Workers(office, threads=2)
        workers.start()
        try:
            with serving(service.app) as port:
                yield Served(f"http://127.0.0.1:{port}", office, service.inbox)
        finally:
            workers.stop()


@dataclass(frozen=True, slots=True)
class Website:
    """Somebody's site: `pages` are its HTML by path, to be filled by the test, and `policies` their Referrer-Policy."""

    port: int
    pages: dict[str, str]
    policies: dict[str, str]

    def origin(self, host: str) -> str:
        return f"http://{host}:{self.port}"


@contextmanager
def website() -> Iterator[Website]:
    pages: dict[str, str] = {}
    policies: dict[str, str] = {}
    app = Flask(__name__, static_folder=None)

    @app.get("/<path>")
    def page(path: str) -> Response:
        if path not in pages:
            abort(404)
        answer = Response(f"<!doctype html><html lang=en><title>Site</title>{pages[path]}", mimetype="text/html")
        if path in policies:
            answer.headers["Referrer-Policy"] = policies[path]
        return answer

    @app.get("/favicon.ico")
    def icon() -> tuple[str, int]:
        return "", 204

    with serving(app) as port:
        yield Website(port, pages, policies)
