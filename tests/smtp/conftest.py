"""What most tests of this package need: a deliverer, and a way to send through it in one line."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Protocol

import pytest

from app.model.message import Message
from app.model.outcome import Delivery
from app.model.smtp import SMTPConfiguration
from app.smtp.delivery import Deliverer

MESSAGE = Message("AB12CD34", b"To: owner@example.com\r\nSubject: Hello\r\n\r\nHow are you?\r\n")


class Send(Protocol):
    """Delivers `message` through the configurations, in their order."""

    def __call__(
        self,
        *group: SMTPConfiguration,
        message: Message = MESSAGE,
        recipient: str = "owner@example.com",
        recipients: Sequence[str] = (),
        catch_all: str | None = None,
        is_test: bool = False,
        deadline_s: float = 20.0,
        on_hand_over: Callable[[], None] = lambda: None,
    ) -> Delivery: ...


@pytest.fixture
def deliverer() -> Iterator[Deliverer]:
    with closing(Deliverer()) as deliverer:
        yield deliverer


@pytest.fixture
def send(deliverer: Deliverer) -> Send:
    def send(
        *group: SMTPConfiguration,
        message: Message = MESSAGE,
        recipient: str = "owner@example.com",
        recipients: Sequence[str] = (),
        catch_all: str | None = None,
        is_test: bool = False,
        deadline_s: float = 20.0,
        on_hand_over: Callable[[], None] = lambda: None,
    ) -> Delivery:
        return deliverer.deliver(
            message,
            group=group,
            is_test=is_test,
            recipients=recipients or (recipient,),
            catch_all=catch_all,
            deadline=time.monotonic() + deadline_s,
            on_hand_over=on_hand_over,
        )

    return send


def is_usable(deliverer: Deliverer, configuration: SMTPConfiguration, *, is_test: bool = False) -> bool:
    """Whether a message would be tried there: it has an account, and did not keep failing until a moment ago."""
    account = configuration.account_for(is_test=is_test)
    return account is not None and not deliverer._pools.route(configuration, account).circuit.is_open
