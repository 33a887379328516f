"""A certificate authority for tests, and server contexts that it vouches for (or does not). Used by `smtp_server`."""

import atexit
import ssl
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path

import trustme


class Authority:
    """One certificate authority; `ca_file` is what a client trusts it by."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        directory = tempfile.TemporaryDirectory()
        atexit.register(directory.cleanup)
        path = Path(directory.name) / "ca.pem"
        self._ca.cert_pem.write_to_path(path)
        self.ca_file = str(path)

    def server_context(self, *names: str, not_after: datetime | None = None) -> ssl.SSLContext:
        """What a server needs to prove that it is one of these names (or addresses)."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(*names, not_after=not_after).configure_cert(context)
        return context


@cache
def authority() -> Authority:
    """The authority that `SMTPServer.configuration` trusts; one per test process, because keys take time to make."""
    return Authority()
