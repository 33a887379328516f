"""Every 30 days one test message through the first configuration: a dead account is noticed before it matters."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from app.emails.office import Office
from app.emails.send import send
from app.errors import LetterboxError
from app.model.email import AutoSubmitted, EmailRequest, Purpose
from app.storage import service_state

log = structlog.get_logger(__name__)

_STATE = "monthly_test_email"
_PERIOD = timedelta(days=30)


def send_monthly_test(office: Office) -> bool:
    """Send the message if it is due and no other process has taken it. True when this process sent it."""
    now = office.clock()
    last = office.database.read(lambda connection: service_state.read(connection, _STATE))
    if last is not None and now - datetime.fromisoformat(last) < _PERIOD:
        return False
    claim = partial(service_state.replace_if, name=_STATE, old=last, new=now.isoformat())
    if not office.database.write(claim):
        return False
    configuration = office.settings.smtp_configurations[0]
    alone = replace(
        office,
        settings=replace(
            office.settings,
            # Another server's success, or a wait of the address, would hide what this message is to find out.
            smtp_configurations=(configuration,),
            guards=replace(office.settings.guards, cooldown_enabled=False),
        ),
    )
    request = EmailRequest(
        email=configuration.account.address,
        username="Letterbox",
        message="This is the monthly test message: the first SMTP configuration works.",
        subject="Monthly test message",
        auto_submitted=AutoSubmitted.GENERATED,
    )
    try:
        send(alone, request, purpose=Purpose.MONTHLY_TEST)
    except LetterboxError as error:
        log.error("the monthly test message was not delivered", cause=str(error))
    return True
