"""The start-up self-test passes today, and notices when composing is broken in any of the ways that it is there for."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.errors import SelfTestFailed
from app.messages import compose, mime, rendering, self_test
from app.messages.compose import Composer
from app.model.message import Message
from app.settings import MessageLimits

from .composing import COMPOSER, TEMPLATES


def test_a_safe_composer_passes() -> None:
    self_test.run(COMPOSER)


class Spoiled(Composer):
    """Makes the finished bytes worse by a function."""

    def __init__(self, spoil: Callable[[bytes], bytes]) -> None:
        super().__init__(TEMPLATES, MessageLimits())
        self._spoil = spoil

    def compose(self, *args: Any, **keywords: Any) -> Message:
        message = super().compose(*args, **keywords)
        return replace(message, content=self._spoil(message.content))


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda content: b"Bcc: evil@x.test\r\n" + content, "other fields"),
        (lambda content: content.replace(b"MIME-Version", b"X-Version"), "other fields"),
        (lambda content: content.replace(b"Reply-To: ", b"Reply-To: evil@x.test, "), "another Reply-To"),
        (lambda content: content.replace(b"\r\nCc: ", b"\r\nCc: evil@x.test, "), "another Cc"),
        (lambda content: content.replace(b"recipient3@", b"evil@"), "another To"),
        (
            lambda content: content.replace(b"Content-Disposition", b"X-Evil: 1\r\nContent-Disposition"),
            "a field in a part",
        ),
        (lambda content: content.replace(b"text/plain; charset=utf-8;", b"text/html; charset=utf-8;"), "other parts"),
        (lambda content: content.replace(b"name", b"other"), "another file name"),
        (lambda content: content.replace(b"last", b"lost"), "another text"),
        (lambda content: content.replace(b"&lt;", b"<"), "HTML that acts"),
        (lambda content: content + b"\r\n" + b"x" * 999, "998"),
        (lambda content: content + b"\n.\n", "printable"),
        (lambda content: content + b"\0", "printable"),
    ],
)
def test_a_composer_that_lets_something_through_stops_the_start(spoil: Callable[[bytes], bytes], fault: str) -> None:
    with pytest.raises(SelfTestFailed, match=fault):
        self_test.run(Spoiled(spoil))


@pytest.mark.parametrize(
    ("module", "name", "broken"),
    [
        (compose, "unstructured_field", lambda name, value: f"{name}: {value}\r\n"),
        (compose, "address_field", lambda name, address, display="": f"{name}: {display} <{address}>\r\n"),
        (compose, "extra_fields", lambda headers: "".join(f"{name}: {value}\r\n" for name, value in headers.items())),
        (mime, "parameter", lambda name, value: f'; {name}="{value}"'),
        (rendering, "sanitized", lambda html: html.replace("&lt;", "<")),
    ],
)
def test_a_step_that_is_left_out_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, broken: Callable[..., str]
) -> None:
    monkeypatch.setattr(module, name, broken)
    with pytest.raises((SelfTestFailed, UnicodeEncodeError)):
        self_test.run(COMPOSER)
