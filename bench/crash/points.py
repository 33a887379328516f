"""Where the service is killed, on the way of one email."""

from enum import StrEnum


class Point(StrEnum):
    """The marked points in the order in which an email passes them, and any moment between them."""

    ANY_MOMENT = "any moment"
    UNRECORDED = "before the record"
    RECORDED = "recorded"
    """Before the hand-over is made durable."""
    IN_DATA = "in DATA"
    """The server has seen half of the message."""
    DOT_SENT = "dot sent"
    """The server has all of it and has not replied."""
    REPLIED = "reply received"
    """Before the outcome is written."""
    UNANSWERED = "not answered"
    """Everything is recorded, and the client has not been told."""
    LATE_REPLY = "late reply"
    """The client was told that it is uncertain, the server has replied since, and that is not written yet."""


OF_SERVER = frozenset({Point.IN_DATA, Point.DOT_SENT})
"""What the SMTP server sees; the others only the service knows."""
