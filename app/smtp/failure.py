"""The one exception of a dialogue that went wrong, carrying the stage and the reply instead of prose."""

from app.model.outcome import Stage
from app.smtp.reply import Reply, cleaned


class SessionFailed(Exception):
    """The dialogue ended in `stage`: with the server's `reply`, or without one (dropped, timed out, not understood).

    Raised by `session`, `pool` and what they use; turned into an attempt by `transaction` and `delivery`, and into
    words for an operator by `check`, which looks at `__cause__`. It never leaves this package.
    """

    def __init__(self, stage: Stage, *, reply: Reply | None = None, detail: str = "") -> None:
        self.stage = stage
        self.reply = reply
        self.detail = cleaned(detail) or (reply.detail if reply else "")
        super().__init__(f"{stage}: {self.detail}")
