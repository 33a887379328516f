"""The loops behind `bench.profile`: each layer's own function, with what a real request gives it."""

import cProfile
import gc
import io
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from flask import Flask, jsonify
from werkzeug.test import EnvironBuilder

from app.api import emails as api_emails
from app.api.email_request import email_request_schema
from app.api.queries import SendingQuerySchema
from app.emails import record
from app.emails import send as sending
from app.emails.errand import Errand, compose, plan
from app.emails.office import Office
from app.guards.client_address import client_key
from app.guards.gate import Gate
from app.model.email import Email, Status
from app.smtp.delivery import Deliverer
from app.storage import emails
from app.web.arguments import ArgumentsParser
from app.web.strict_json import parse_object
from bench.stopwatch import Place, Stopwatch

log = structlog.get_logger("app.emails.record")

_HEAD_END = b"\r\n\r\n"
_PLACE = b"#" * 16


FLASK = "Flask, routing, versions, headers, view"
GUARDS = "guards: address, throttle, blocks"
READING = "webargs, marshmallow, strict JSON"
ANSWER = "answer"
PLANNING = "plan and check"
COMPOSING = "templates and compose"
OPENING = "record: open, with cooldown"
HANDING_OVER = "record: hand over"
SETTLING = "record: settle, with cooldown"
LOGGING = "log line"
SMTP = "SMTP dialogue"

_PLACES: Sequence[Place] = (
    (Gate, "admit", GUARDS),
    (ArgumentsParser, "parse", READING),
    (api_emails, "_accepted", ANSWER),
    (sending, "plan", PLANNING),
    (sending, "compose", COMPOSING),
    (record, "open_record", OPENING),
    (record, "hand_over", HANDING_OVER),
    (record, "settle", SETTLING),
    (record, "_log", LOGGING),
    (Deliverer, "deliver", SMTP),
)
"""Whatever happens in none of these counts for Flask."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What it takes of a whole post, and alone in a loop."""

    name: str
    us: float
    alone_us: float


class Loops:
    """Every layer once in each pass, and the whole, so that a machine that slows down slows all of them down.

    Every post has a sender of its own: the cooldown records it and refuses nothing.
    """

    def __init__(self, app: Flask, request: Path, *, posts: int) -> None:
        self._app = app
        self._office: Office = app.extensions["letterbox"]
        self._body = request.read_bytes().partition(_HEAD_END)[2]
        self._posts = posts
        self._number = 0

    def run(self, passes: int) -> tuple[list[Layer], float]:
        """The medians: of the layers, and of the whole in microseconds. The first pass warms up."""
        runs = [(self._in_the_whole(), self._alone(), self._whole()) for _ in range(passes + 1)][1:]
        layers = [
            Layer(
                name,
                statistics.median(inside[name] for inside, _, _ in runs),
                statistics.median(alone[name] for _, alone, _ in runs),
            )
            for name in runs[0][1]
        ]
        return layers, statistics.median(whole for _, _, whole in runs)

    def profiled(self) -> cProfile.Profile:
        """A profile of whole posts."""
        environs, profile = self._environs(), cProfile.Profile()
        profile.enable()
        self._post_all(environs)
        profile.disable()
        return profile

    def _whole(self) -> float:
        return self._timed(partial(self._post_all, self._environs()))

    def _in_the_whole(self) -> dict[str, float]:
        environs, stopwatch = self._environs(), Stopwatch(FLASK)
        gc.collect()
        with stopwatch.watching(_PLACES):
            self._post_all(environs)
        return {name: taken_ns / self._posts / 1000 for name, taken_ns in stopwatch.taken_ns.items()}

    def _alone(self) -> dict[str, float]:
        office = self._office
        schema, query = email_request_schema(office.settings.limits, office.templates.names), SendingQuerySchema()
        body, sent = self._new_body(), self._sent()
        guards = self._each(lambda: office.gate.admit(client_key("127.0.0.1", "", ())))
        with self._app.test_request_context():
            reading = self._each(lambda: (query.load({}), schema.load(parse_object(body))))
            answering = self._each(lambda: jsonify(api_emails.resource(sent)))
            request = schema.load(parse_object(body))
        errand = plan(office, request, caller=None, smtp_id=None, is_test=False)
        opening, handing_over, settling = self._record(errand.draft, sent)
        logging = self._each(lambda: log.info("email sent", email_id=sent.id, smtp_id=1, delivered_by=1, trouble=[]))
        return {
            FLASK: self._timed(partial(self._get_all, "/api/v1/versiontest")) - guards,
            GUARDS: guards,
            READING: reading,
            ANSWER: answering,
            PLANNING: self._each(lambda: plan(office, request, caller=None, smtp_id=None, is_test=False)),
            COMPOSING: self._each(lambda: compose(office, errand, errand.draft)),
            OPENING: opening,
            HANDING_OVER: handing_over,
            SETTLING: settling - logging,
            LOGGING: logging,
            SMTP: self._deliver(errand),
        }

    def _record(self, draft: Email, sent: Email) -> tuple[float, float, float]:
        """The three writes of an email, each alone in its transaction."""
        office, opened = self._office, list[Email]()
        drafts = [replace(draft, id=f"{each:08X}", sender=f"s{each}@example.com") for each in self._new_numbers()]

        def settle_all() -> None:
            for email in opened:
                record.settle(office, email, attempts=sent.attempts, status=Status.SENT)

        return (
            self._timed(lambda: opened.extend(record.open_record(office, each) for each in drafts)),
            self._timed(lambda: [record.hand_over(office, each) for each in opened]),
            self._timed(settle_all),
        )

    def _deliver(self, errand: Errand) -> float:
        message = compose(self._office, errand, errand.draft)
        return self._each(
            lambda: self._office.deliverer.deliver(
                message,
                group=errand.group,
                is_test=False,
                recipients=errand.recipients.envelope,
                catch_all=None,
                deadline=time.monotonic() + 60,
                on_hand_over=lambda: None,
            )
        )

    def _sent(self) -> Email:
        """A record as it is once a server has taken the message."""
        answer = self._app.test_client().post("/api/v1/emails", data=self._new_body(), content_type="application/json")
        assert answer.json, answer.text
        found = self._office.database.read(lambda connection: emails.find(connection, answer.json["id"]))
        assert found, answer.text
        return found

    def _post_all(self, environs: Sequence[dict[str, Any]]) -> None:
        for environ in environs:
            status = self._call(environ)
            assert status.startswith("201"), status

    def _get_all(self, path: str) -> None:
        environ = EnvironBuilder(path=path, environ_base={"REMOTE_ADDR": "127.0.0.1"}).get_environ()
        for _ in range(self._posts):
            status = self._call(dict(environ))
            assert status.startswith("200"), status

    def _call(self, environ: dict[str, Any]) -> str:
        statuses: list[str] = []
        answer = self._app(environ, lambda status, *_: statuses.append(status))
        b"".join(answer)
        if close := getattr(answer, "close", None):
            close()
        return statuses[0]

    def _environs(self) -> list[dict[str, Any]]:
        return [
            EnvironBuilder(
                path="/api/v1/emails",
                method="POST",
                input_stream=io.BytesIO(body),
                content_length=len(body),
                content_type="application/json",
                environ_base={"REMOTE_ADDR": "127.0.0.1"},
            ).get_environ()
            for body in (self._new_body() for _ in range(self._posts))
        ]

    def _new_body(self) -> bytes:
        self._number += 1
        return self._body.replace(_PLACE, b"%016d" % self._number)

    def _new_numbers(self) -> range:
        first, self._number = self._number + 1, self._number + self._posts
        return range(first, self._number + 1)

    def _each(self, call: Callable[[], object]) -> float:
        def loop() -> None:
            for _ in range(self._posts):
                call()

        return self._timed(loop)

    def _timed(self, loop: Callable[[], object]) -> float:
        """Microseconds of CPU for each post."""
        gc.collect()
        began = time.process_time()
        loop()
        return (time.process_time() - began) / self._posts * 1e6
