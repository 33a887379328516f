"""One line per event on standard error, the same for our events and for the libraries'. The command line sets it up.

Our modules write `log = structlog.get_logger(__name__)` and `log.info("email sent", email_id=...)`; what comes through
`logging.getLogger` goes the same way. Each line of a request has its `trace_id`, bound by `web`.
"""

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from app.observability.confidential import shorten_address, shorten_addresses, without_secrets

__all__ = ["configure_logging", "shorten_address"]

_QUIETER = {
    # It reports at every start that it has looked.
    "alembic": logging.WARNING,
    # Their finer lines hold the SMTP dialogue and the parameters of statements, so they stay off at every level.
    "mail.log": logging.WARNING,
    "mail.debug": logging.WARNING,
    "sqlalchemy": logging.WARNING,
}
_LONGEST_TRACEBACK = 20_000


def configure_logging(*, format: str, level: str) -> None:
    """`format` is `console` or `json`, `level` a level's name in lower case. May be called again, in each process."""
    _collect_only_what_is_shown()
    rendering = _rendering(format)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _StandardError)]:
        root.removeHandler(handler)
    handler = _StandardError()
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=[structlog.contextvars.merge_contextvars, _presentable_event],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
            use_get_message=True,
        )
    )
    root.addHandler(handler)
    number = logging.getLevelNamesMapping()[level.upper()]
    # "debug" is about this service; libraries would drown it.
    root.setLevel(max(number, logging.INFO))
    logging.getLogger("app").setLevel(number)
    for name, lowest in _QUIETER.items():
        logging.getLogger(name).setLevel(max(number, lowest))
    logging.captureWarnings(True)
    _FOR_OUR_EVENTS[:] = [*_BEFORE_RENDERING, *rendering, _finished]
    structlog.configure(
        processors=_FOR_OUR_EVENTS,
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


class _Line(str):
    """An event of ours as it will be written, so that `logging` only has to carry it."""

    __slots__ = ()


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Renders what libraries say. Our own events come rendered: going this way as well cost them half as much again."""

    def format(self, record: logging.LogRecord) -> str:
        return record.msg if isinstance(record.msg, _Line) else super().format(record)


def _collect_only_what_is_shown() -> None:
    """Python's own list of what need not be found out for every record: callers, threads and processes."""
    # https://docs.python.org/3/howto/logging.html#optimization
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is now, not to what it was at the start: tests and daemons replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _rendering(format: str) -> list[Processor]:
    if format == "json":
        return [_traceback_as_text, _as_json]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        exception_formatter=structlog.dev.plain_traceback,  # the rich one prints local variables, passwords among them
        pad_event_to=0,
    )
    return [_traceback_as_text, _escaped_for_console, console]


def _presentable_event(logger: logging.Logger | None, method: str, event: EventDict) -> EventDict:
    """The event with what every line says first, and without what none may say. One step, as every event takes it."""
    kept = {key: event.pop(key) for key in _NOT_SHOWN if key in event}
    name = kept["_record"].name if logger is None else logger.name
    shown = without_secrets(event)
    shown["timestamp"] = datetime.now(UTC).isoformat().removesuffix("+00:00") + "Z"
    shown["level"] = "error" if method == "exception" else method
    shown["logger"] = name
    return {key: shown[key] for key in _FIRST if key in shown} | shown | kept


def _traceback_as_text(_logger: object, _method: str, event: EventDict) -> EventDict:
    """`exc_info` -> `exception`, with its addresses shortened and only its end when it is long."""
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        text = "".join(traceback.format_exception(error)).rstrip()
        event["exception"] = shorten_addresses(text[-_LONGEST_TRACEBACK:])
    return event


def _as_json(_logger: object, _method: str, event: EventDict) -> str:
    # Everything in it was made plain. `json` escapes every control character and everything that is not ASCII.
    return _ENCODER.encode(event)


def _finished(_logger: object, _method: str, line: Any) -> Any:
    return _Line(line)


def _escaped_for_console(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Nothing in an event can begin a line, colour the terminal or turn the text around.

    A traceback keeps its lines, each behind a bar that no event's line begins with.
    """
    exception = event.pop("exception", None)
    escaped: MutableMapping[str, Any] = {_visible(key): _escaped(value) for key, value in event.items()}
    if exception is not None:
        escaped["exception"] = "\n".join(f"  | {_visible(part)}" for part in str(exception).split("\n"))
    return escaped


def _escaped(value: object) -> object:
    if isinstance(value, bool | int | float) or value is None:
        return value
    return _visible(value if isinstance(value, str) else repr(value))


def _visible(text: str) -> str:
    """`unicode_escape` for what cannot be printed: controls, line separators, bidi controls, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


_ENCODER = json.JSONEncoder()
_FIRST = ("timestamp", "level", "logger", "event")
_NOT_SHOWN = ("exc_info", "_record", "_from_structlog")
_BEFORE_RENDERING: list[Processor] = [
    structlog.stdlib.filter_by_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.contextvars.merge_contextvars,
    _presentable_event,
]
_FOR_OUR_EVENTS: list[Processor] = []
"""One list object for good: loggers that were used before a second call keep pointing at it."""
