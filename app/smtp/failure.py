"""The one exception of a dialogue that went wrong, carrying the stage and the reply instead of prose."""

from app.model.outcome import Stage
from app.smtp.reply import Reply, cleaned


class SessionFailed(Exception):
    """The dialogue ended in `stage`: with the server's `reply`, or without one (dropped, timed out, not understood).

    Raised by `session`, `pool` and what they use; turned into an attempt by `transaction` and `delivery`, and by `walk`
    into a step, with words that look at `__cause__`: `words` for an operator, `connections.advice` for an owner.
    Nobody outside of this package catches it.
    """

    def __init__(self, stage: Stage, *, reply: Reply | None = None, detail: str = "") -> None:
        self.stage = stage
        self.reply = reply
        self.detail = cleaned(detail) or (reply.detail if reply else "")
        super().__init__(f"{stage}: {self.detail}")


class ClearTextRefused(SessionFailed):
    """The password was not sent: the server offers no TLS, and nobody has allowed clear text."""
