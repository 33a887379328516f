"""One line per event on standard error, the same for our events and for the libraries'. The command line sets it up.

Our modules write `log = structlog.get_logger(__name__)` and `log.info("email sent", email_id=...)`; what comes through
`logging.getLogger` goes the same way. Each line of a request has its `trace_id`, bound by `web`.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
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
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _StandardError)]:
        root.removeHandler(handler)
    handler = _StandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_FOR_EVERY_EVENT,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(format)],
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
    structlog.configure(
        processors=_FOR_OUR_EVENTS,
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is now, not to what it was at the start: tests and daemons replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _rendering(format: str) -> list[Processor]:
    if format == "json":
        # `json` escapes every control character and, by default, everything that is not ASCII.
        return [_traceback_as_text, _what_matters_first, structlog.processors.JSONRenderer()]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        exception_formatter=structlog.dev.plain_traceback,  # the rich one prints local variables, passwords among them
        pad_event_to=0,
    )
    return [_traceback_as_text, _escaped_for_console, console]


def _hide_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    kept = {key: event.pop(key) for key in ("exc_info", "_record", "_from_structlog") if key in event}
    return {**without_secrets(event), **kept}


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


def _what_matters_first(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {key: event[key] for key in ("timestamp", "level", "logger", "event") if key in event} | dict(event)


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


_FOR_EVERY_EVENT: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _hide_secrets,
]
# One list object for good: loggers that were used before a second call keep pointing at it.
_FOR_OUR_EVENTS: list[Processor] = [
    structlog.stdlib.filter_by_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    *_FOR_EVERY_EVENT,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]
