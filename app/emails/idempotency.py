"""What a repeated request is answered with: the record of the first one (spec: delivery, "Idempotency")."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from app.emails.office import Office
from app.emails.record import KEY_LIFETIME
from app.errors import KeyInUse, KeyMismatch, KeyRecordGone
from app.model.email import Email, Phase, Status
from app.storage import emails, idempotency
from app.storage.idempotency import IdempotencyKey, KnownKey


def earlier_email(office: Office, key: IdempotencyKey) -> Email | None:
    """The email of the first request with this key, as that request was answered; None when the key is new.

    Raises KeyMismatch, KeyInUse, KeyRecordGone and RecordUnavailable. The record is read instead of a stored answer, so
    a crash in the middle of the first request is answered truthfully, too.
    """

    def find(connection: Connection) -> KnownKey | None:
        valid_from_ms = office.database.now_ms(connection) - KEY_LIFETIME // timedelta(milliseconds=1)
        return idempotency.find(connection, key, valid_from_ms=valid_from_ms)

    known = office.database.read(find)
    if known is None:
        return None
    if known.fingerprint != key.fingerprint:
        raise KeyMismatch
    email = office.database.read(lambda connection: emails.find(connection, known.email_id))
    if email is None:
        raise KeyRecordGone
    if email.is_queued:
        return _as_it_was_accepted(email)
    if email.phase is not Phase.SETTLED:
        raise KeyInUse
    return email


def _as_it_was_accepted(email: Email) -> Email:
    return replace(
        email,
        status=Status.QUEUED,
        phase=Phase.RECORDED,
        attempts=(),
        rounds=0,
        delivered_smtp_id=None,
        next_attempt_at=email.created_at,
    )
