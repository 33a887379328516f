"""What happens from SIGTERM on beside the HTTP server, which waits for its requests before it ends the process."""

import os
import signal
import threading
import time
from collections.abc import Callable

STOP_S = 25.0
"""How long requests may go on: less than the 30 seconds of a service manager, which would leave nothing tidy."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def hold_signals_of_new_processes() -> None:
    """Let a signal to stop that reaches a process while it starts wait until `when_stopped`, instead of being lost.

    Called once by the process that starts the others. A new one has its parent's handler, which would only note it.
    """
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS),
    )


def when_stopped(*, at_once: Callable[[], None], at_last: Callable[[], None]) -> None:
    """Call `at_once` when a signal to stop arrives, and `at_last`, before the process ends, if that takes too long.

    Called on the main thread, once the server listens to signals: its event loop learns of them in another way, which
    a handler does not disturb.
    """
    reading, writing = os.pipe()

    def tell(*_: object) -> None:
        os.write(writing, b"!")

    for number in _SIGNALS:
        signal.signal(number, tell)
        signal.siginterrupt(number, False)
    threading.Thread(target=_watch, args=(reading, at_once, at_last), name="stop", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _watch(reading: int, at_once: Callable[[], None], at_last: Callable[[], None]) -> None:
    os.read(reading, 1)
    at_once()
    time.sleep(STOP_S)
    # A request that takes longer is cut off; its record says what became of it.
    at_last()
    os._exit(0)
