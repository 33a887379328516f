"""What is decided about an email before anything is recorded: servers and recipients. Used by `send` and `queue`."""

from dataclasses import dataclass, replace

from app.emails.configurations import failover_order, group_of
from app.emails.office import Office
from app.model.access import Caller
from app.model.email import AutoSubmitted, Email, EmailRequest, Phase, Purpose, Status
from app.model.form import Form
from app.model.message import Message
from app.model.smtp import SMTPConfiguration
from app.storage import emails


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who gets the message: by header field, and in the envelope each address once."""

    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()

    @property
    def envelope(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.to, *self.cc, *self.bcc)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A checked request, the servers that may carry it in their order, and the record as it will begin."""

    request: EmailRequest
    group: tuple[SMTPConfiguration, ...]
    recipients: Recipients
    catch_all: str | None
    draft: Email


def plan(
    office: Office,
    request: EmailRequest,
    *,
    caller: Caller | None,
    smtp_id: int | None,
    is_test: bool,
    form: Form | None = None,
    purpose: Purpose = Purpose.REQUEST,
) -> Errand:
    """Nothing is recorded yet. Raises RequestInvalid, SMTPConfigurationNotFound and TestAccountMissing."""
    if caller is not None and request.auto_submitted is None:
        # A program wrote it, as far as is known; its headers may say otherwise.
        request = replace(request, auto_submitted=AutoSubmitted.GENERATED)
    project_id = caller.project_id if caller else form.project_id if form else None
    group = failover_order(group_of(office, project_id, smtp_id), smtp_id=smtp_id, is_test=is_test)
    office.composer.check(request)
    if form is not None:
        recipients = Recipients(request.to or form.recipients)
    else:
        recipients = _recipients(office, request, requested=group[0], is_test=is_test, caller=caller)
    draft = Email(
        id=emails.new_id(),
        status=Status.SENDING,
        phase=Phase.RECORDED,
        requested_smtp_id=group[0].index,
        is_test=is_test,
        created_at=office.clock(),
        reception_email=recipients.to[0],
        sender=request.email,
        priority=request.priority,
        project_id=project_id,
        form_key=form.key if form else None,
        purpose=purpose,
    )
    return Errand(
        request=request,
        group=group,
        recipients=recipients,
        # It stands in for the configured recipient; whoever names recipients learns which were refused.
        catch_all=office.settings.catchall_email if recipients == _configured(office) else None,
        draft=draft,
    )


def compose(office: Office, errand: Errand, email: Email) -> Message:
    """The finished bytes, the same on every attempt. A backend's HTML is sent as given."""
    requested = errand.group[0]
    return office.composer.compose(
        errand.request,
        email_id=email.id,
        created_at=email.created_at,
        to=errand.recipients.to,
        cc=errand.recipients.cc,
        message_id_domain=requested.account.address.rpartition("@")[2],
        allows_raw_html=email.project_id is not None and email.form_key is None,
        charset=requested.charset,
    )


def _recipients(
    office: Office, request: EmailRequest, *, requested: SMTPConfiguration, is_test: bool, caller: Caller | None
) -> Recipients:
    """Those of the request, to whom only a backend may send, else the configured one.

    A test message of a project's connection goes to that connection's own test address, and to nobody else.
    """
    if is_test and requested.test_recipient is not None:
        return Recipients((requested.test_recipient,))
    if caller is None:
        return _configured(office)
    return Recipients(request.to or _configured(office).to, request.cc, request.bcc)


def _configured(office: Office) -> Recipients:
    return Recipients((office.settings.reception_email,))
