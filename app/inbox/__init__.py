"""The embedded inbox: a real SMTP server on loopback for a machine without an SMTP account, and the mail it received.

`server` accepts, `store` keeps, `reader` understands, `message` is what they hand on; `embedding` makes it the place
that the service sends to. The pages under `/inbox` show the store.
"""

from app.inbox.embedding import with_embedded_inbox
from app.inbox.server import EmbeddedInbox
from app.inbox.store import InboxStore

__all__ = ["EmbeddedInbox", "InboxStore", "with_embedded_inbox"]
