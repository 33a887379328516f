"""`letterbox serve` with traps: it kills the service's processes at the points that only they know.

A trap is a file in the directory that CRASH_TRAPS names; who passes its point first removes it, leaves word of which
email that was, and dies. The service itself knows nothing of this: its functions are wrapped from outside.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask

import app.api.emails as views
from app.cli import main
from app.emails import late_reply, record
from app.model.email import Email, Status
from app.model.outcome import Attempt
from app.smtp import transaction
from bench.crash.points import Point
from bench.crash.server import FINAL_REPLY_S

# The package has a command of the same name, which hides the module.
_serving: Any = import_module("app.cli.serve")
_load_application = _serving.load_application

_PR_SET_PDEATHSIG = 1


def load_application(**options: Any) -> Flask:
    """What each serving process begins with."""
    transaction.Transaction._final_timeout_s = _final_timeout_s  # type: ignore[method-assign]
    lay_traps(partial(_pass_by, Path(os.environ["CRASH_TRAPS"])))
    loaded: Flask = _load_application(**options)
    return loaded


def lay_traps(pass_by: Callable[[Point, Email], None]) -> None:
    """Call `pass_by` wherever an email passes a point."""

    def before(function: Callable[..., Any], point: Point, condition: Callable[..., bool]) -> Callable[..., Any]:
        @wraps(function)
        def trapped(office: object, email: Email, *arguments: Any, **options: Any) -> Any:
            if condition(*arguments, **options):
                pass_by(point, email)
            return function(office, email, *arguments, **options)

        return trapped

    def after(function: Callable[..., Email]) -> Callable[..., Email]:
        @wraps(function)
        def trapped(*arguments: Any, **options: Any) -> Email:
            email = function(*arguments, **options)
            pass_by(Point.UNANSWERED, email)
            return email

        return trapped

    for name in ("open_record", "open_queued_record"):
        setattr(record, name, before(getattr(record, name), Point.UNRECORDED, _always))
    record.hand_over = before(record.hand_over, Point.RECORDED, _always)
    record.settle = before(record.settle, Point.REPLIED, _is_sent)
    late_reply.correct = before(late_reply.correct, Point.LATE_REPLY, _has_come)
    for name in ("send", "enqueue"):
        setattr(views, name, after(getattr(views, name)))


def _final_timeout_s(_: transaction.Transaction) -> float:
    return FINAL_REPLY_S


def _always(*_: object, **__: object) -> bool:
    return True


def _is_sent(*, status: Status, **_: object) -> bool:
    return status is Status.SENT


def _has_come(attempt: Attempt | None) -> bool:
    return attempt is not None


def _pass_by(traps: Path, point: Point, email: Email) -> None:
    sprung = traps / f"{os.getpid()}.{point}"
    try:
        (traps / point).rename(sprung)
    except FileNotFoundError:
        return
    is_of_all = sprung.read_text() == "all"
    word = {"email_id": email.id, "is_queued": email.is_queued, "pid": os.getpid()}
    sprung.write_text(json.dumps(word))
    sprung.rename(traps / "sprung")
    if is_of_all:
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from bench.crash import launcher

    # Whatever becomes of the rig, its service does not outlive it (Linux alone knows this; see prctl(2)).
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # By its importable name, because serving processes may be told of it by name.
    _serving.load_application = launcher.load_application
    sys.argv[1:] = ["serve"]
    main()
