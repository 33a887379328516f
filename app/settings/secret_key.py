"""The secret key that a development machine makes for itself and keeps under `var/`."""

import fcntl
import os
import secrets
from pathlib import Path


def kept_secret_key(path: Path) -> str:
    """The key in the file, made now if there is none; only its owner can read it. Raises OSError and ValueError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
        # Processes of one service start at the same moment: the second waits here and reads what the first wrote.
        fcntl.flock(file, fcntl.LOCK_EX)
        key = file.read().strip()
        if not key:
            key = secrets.token_urlsafe(48)
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
    return key
