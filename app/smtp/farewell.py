"""QUIT for sessions that are not needed any more. Used by `pools`, in the background."""

from collections.abc import Sequence

from app.model.outcome import Stage
from app.smtp.failure import SessionFailed
from app.smtp.session import SMTPSession

FAREWELL_S = 1.0
"""So long a reply to QUIT is waited for."""


def say_goodbye(sessions: Sequence[SMTPSession], deadline: float) -> None:
    """QUIT to all, then their replies (RFC 5321 section 4.1.1.10) until one common deadline; closes every session."""
    asked = []
    for session in sessions:
        session.limit = deadline
        session.begin(Stage.MESSAGE)
        try:
            session.write(b"QUIT\r\n")
        except SessionFailed:
            session.close()
        else:
            asked.append(session)
    for session in asked:
        try:
            session.read_reply()
        except SessionFailed:
            pass
        finally:
            session.close()
