"""Settings with nothing to send through -> settings that send to the embedded inbox. Used by the assembly."""

from dataclasses import replace

from app.inbox.server import EmbeddedInbox
from app.inbox.store import InboxStore
from app.model.smtp import Account, Security, SMTPConfiguration
from app.settings import Settings

# A name that never leaves this machine (RFC 6761), should one of these addresses be copied elsewhere.
_ACCOUNT = Account("letterbox@letterbox.localhost", username="", password=None)
_TEST_ACCOUNT = Account("test@letterbox.localhost", username="", password=None)
_RECIPIENT = "inbox@letterbox.localhost"


def with_embedded_inbox(settings: Settings) -> tuple[Settings, InboxStore]:
    """Start the inbox on a free port and return the settings that use it, with the store of what it receives.

    Every process runs a server of its own; they share one directory, so each of them shows everything.
    """
    store = InboxStore(settings.var_dir / "inbox")
    configuration = SMTPConfiguration(
        index=1,
        host="127.0.0.1",
        port=EmbeddedInbox(store).start(),
        account=_ACCOUNT,
        test_account=_TEST_ACCOUNT,
        test_email=_TEST_ACCOUNT.address,
        description="Embedded inbox",
        security=Security.NONE,
    )
    reception_email = settings.reception_email or _RECIPIENT
    return replace(settings, smtp_configurations=(configuration,), reception_email=reception_email), store


def is_embedded(settings: Settings) -> bool:
    """Whether these are settings that `with_embedded_inbox` made."""
    return any(configuration.account == _ACCOUNT for configuration in settings.smtp_configurations)
