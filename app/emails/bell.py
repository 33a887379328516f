"""How the one who queues an email tells those who deliver it. Losing a ring loses nothing: the row is the truth."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Bell:
    """One per process; nobody hears it until somebody listens."""

    _listeners: list[Callable[[str], None]] = field(default_factory=list)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the id of each email that is queued from now on; it must neither wait nor raise."""
        self._listeners.append(listener)

    def ring(self, email_id: str) -> None:
        for listener in self._listeners:
            listener(email_id)
