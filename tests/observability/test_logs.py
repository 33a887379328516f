"""What reaches standard error: one line per event, whoever wrote it."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.observability.logs import configure_logging

CANARY = "canary-3f9a1c"
LIBRARIES = ["alembic.runtime.migration", "_granian", "mail.log", "limits", "flask.app"]
log = structlog.get_logger("app.test")
Read = Callable[[], str]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (None, "app", "mail.log", "mail.debug", "sqlalchemy", *LIBRARIES)]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate) for logger in loggers]
    yield
    configure_logging(format="json", level="info")
    logging.captureWarnings(False)
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers, logger.propagate = handlers, propagate


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Read:
    # Another test's request may have left its trace_id behind.
    structlog.contextvars.clear_contextvars()

    def read() -> str:
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err

    return read


def only_event(text: str) -> dict[str, Any]:
    assert text.count("\n") == 1
    event = json.loads(text)
    assert isinstance(event, dict)
    return event


def test_an_event_is_one_line_of_json(written: Read) -> None:
    configure_logging(format="json", level="info")

    log.info("email sent", email_id="A3F2B1C9", sender="anna@example.com")

    event = only_event(written())
    assert list(event)[:4] == ["timestamp", "level", "logger", "event"]
    assert event["timestamp"].endswith("Z")
    assert {key: event[key] for key in event if key != "timestamp"} == {
        "level": "info",
        "logger": "app.test",
        "event": "email sent",
        "email_id": "A3F2B1C9",
        "sender": "a***@example.com",
    }


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("format", ["json", "console"])
def test_a_library_writes_the_same_kind_of_line(written: Read, name: str, format: str) -> None:
    configure_logging(format=format, level="info")

    logging.getLogger(name).warning("from %s\nsecond line", "anna@example.com")

    text = written()
    assert text.count("\n") == 1
    assert "a***@example.com\\nsecond line" in text
    assert name in text


@pytest.mark.parametrize("format", ["json", "console"])
def test_secrets_and_bodies_are_hidden(written: Read, format: str) -> None:
    configure_logging(format=format, level="debug")

    log.info("request", password=CANARY, headers={"Authorization": f"Bearer {CANARY}"}, body=CANARY, token=CANARY)
    logging.getLogger("limits").warning("lost", extra={"password": CANARY})

    assert CANARY not in written()


@given(text=st.text(), key=st.text(min_size=1))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("format", ["json", "console"])
def test_nothing_in_an_event_begins_a_line_or_drives_the_terminal(
    written: Read, format: str, text: str, key: str
) -> None:
    configure_logging(format=format, level="info")

    log.info(f"a\n{text}", **{f"key {key}": f"b\r{text}\x1b[2J\u202e"})
    logging.getLogger(f"library {key}").warning("c\n%s", text)

    lines = written().split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_a_traceback_is_one_line_of_json(written: Read) -> None:
    configure_logging(format="json", level="info")

    try:
        raise ValueError("first\nsecond of anna@example.com")
    except ValueError:
        log.exception("failed")

    exception = only_event(written())["exception"]
    assert exception.startswith("Traceback (most recent call last):\n")
    assert exception.endswith("ValueError: first\nsecond of a***@example.com")


def test_a_traceback_on_the_console_is_readable_and_cannot_forge_an_event(written: Read) -> None:
    configure_logging(format="console", level="info")
    password = CANARY

    try:
        raise ValueError(f"first\n2026-01-01T00:00:00Z [info] forged\x1b[2J{len(password)}")
    except ValueError:
        logging.getLogger("flask.app").exception("failed")

    first, *rest = written().splitlines()
    assert "failed" in first
    assert len(rest) > 3
    assert all(line.startswith("  | ") and line.isprintable() for line in rest)
    assert CANARY not in str(rest)


def test_a_warning_of_python_is_an_event(written: Read) -> None:
    configure_logging(format="json", level="info")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("careful", stacklevel=1)

    assert only_event(written())["logger"] == "py.warnings"


def test_request_and_trace_id_stand_on_every_line_in_their_context(written: Read) -> None:
    configure_logging(format="json", level="info")

    with structlog.contextvars.bound_contextvars(request_id="r1", trace_id="t1"):
        log.info("ours")
        logging.getLogger("limits").warning("theirs")
    log.info("outside")

    ids = [json.loads(line).get("request_id") for line in written().splitlines()]
    assert ids == ["r1", "r1", None]


def test_debug_is_about_this_service(written: Read) -> None:
    configure_logging(format="json", level="debug")

    log.debug("ours")
    logging.getLogger("flask.app").debug(CANARY)
    logging.getLogger("mail.log").info(CANARY)
    logging.getLogger("sqlalchemy.engine").info(CANARY)

    assert only_event(written())["event"] == "ours"


def test_a_second_call_changes_format_and_level_and_doubles_nothing(written: Read) -> None:
    configure_logging(format="console", level="debug")
    log.debug("before")
    written()

    configure_logging(format="json", level="warning")
    log.info("too fine")
    log.warning("after")

    assert only_event(written())["event"] == "after"


def test_a_traceback_can_be_asked_for_at_any_level(written: Read) -> None:
    configure_logging(format="json", level="info")

    try:
        raise ValueError("why")
    except ValueError:
        log.info("went on", exc_info=True)
    log.info("nothing was raised", exc_info=True)

    first, second = written().splitlines()
    assert json.loads(first)["exception"].endswith("ValueError: why")
    assert "exception" not in json.loads(second)


def test_what_was_formatted_wrongly_is_still_an_event(written: Read) -> None:
    configure_logging(format="json", level="info")

    log.info("%s of %s", "1", "2")
    log.info("100 %")

    assert [json.loads(line)["event"] for line in written().splitlines()] == ["1 of 2", "100 %"]
