"""The mark that comes before a hand-over, and whether the last one was made. Used by `send` and `queue`."""

from app.emails import record
from app.emails.office import Office
from app.model.email import Email


class HandingOver:
    """Called by the deliverer before any byte of the message may reach a server."""

    def __init__(self, office: Office, email: Email) -> None:
        self._office = office
        self._email = email
        self.is_made = False
        """Whether a server may have the message: the last one that was turned to was about to get it."""

    def __call__(self) -> None:
        # Whatever server had the message before has refused it, or there would be no further attempt.
        self.is_made = False
        record.hand_over(self._office, self._email)
        self.is_made = True
