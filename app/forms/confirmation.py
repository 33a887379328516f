"""The confirmation that a visitor gets where the form's owner wants it: fixed words, nothing of what was written.

Whoever types somebody else's address can have no more than this sent there, and only once a day.
"""

from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Connection

from app.emails.office import Office
from app.emails.queue import enqueue
from app.errors import LetterboxError
from app.forms.signing import keyed_digest
from app.guards.cooldown import normalise_sender
from app.model.email import AutoSubmitted, Email, EmailRequest, Purpose
from app.model.form import Form
from app.storage import form_marks
from app.storage.times import to_ms

log = structlog.get_logger(__name__)

_ONCE_IN = timedelta(days=1)


class _ConfirmedToday(Exception):
    """The address had its confirmation."""


def send(office: Office, form: Form, address: str, *, smtp_id: int | None, reference: str, language: str) -> None:
    """Queue the confirmation, unless the address had one today. Its failing is logged: the message itself is safe."""
    digest = keyed_digest(office.settings, "confirmation", form.key, normalise_sender(address))

    def note(connection: Connection, email: Email) -> None:
        now_ms, expires_ms = to_ms(email.created_at), to_ms(email.created_at + _ONCE_IN)
        if not form_marks.add(connection, digest, reference=email.id, expires_ms=expires_ms, now_ms=now_ms):
            raise _ConfirmedToday

    words = _WORDS.get(language, _WORDS["en"])
    request = EmailRequest(
        email="",
        message="",
        to=(address,),
        auto_submitted=AutoSubmitted.REPLIED,
        subject=words.subject,
        body_template=words.body,
        custom_fields={"form": form.name, "reference": reference},
    )
    try:
        enqueue(office, request, form=form, smtp_id=smtp_id, purpose=Purpose.CONFIRMATION, also=note)
    except _ConfirmedToday:
        return
    except LetterboxError as error:
        log.warning("a confirmation was not queued", form=form.key, cause=str(error))


@dataclass(frozen=True, slots=True)
class _Words:
    subject: str
    body: str


_WORDS = {
    "en": _Words(
        "We received your message",
        "Hello,\n\nthank you: your message through “{form}” has arrived. Its reference is {reference}.\n\n"
        "If it was not you who wrote, please ignore this email; you do not have to do anything.\n",
    ),
    "de": _Words(
        "Ihre Nachricht ist angekommen",
        "Guten Tag,\n\nvielen Dank: Ihre Nachricht über „{form}“ ist angekommen. Das Zeichen dazu ist {reference}.\n\n"
        "Falls Sie nicht geschrieben haben, beachten Sie diese E-Mail bitte nicht; Sie müssen nichts tun.\n",
    ),
    "fr": _Words(
        "Nous avons bien reçu votre message",
        "Bonjour,\n\nmerci : votre message envoyé par « {form} » est bien arrivé. Sa référence est {reference}.\n\n"
        "Si vous n’avez rien envoyé, ne tenez pas compte de cet e-mail ; vous n’avez rien à faire.\n",
    ),
    "es": _Words(
        "Hemos recibido su mensaje",
        "Hola:\n\nGracias: su mensaje enviado desde «{form}» ha llegado. Su referencia es {reference}.\n\n"
        "Si no lo ha escrito usted, no tenga en cuenta este correo; no tiene que hacer nada.\n",
    ),
    "tr": _Words(
        "Mesajınızı aldık",
        "Merhaba,\n\nteşekkür ederiz: “{form}” üzerinden gönderdiğiniz mesaj bize ulaştı. Referansı: {reference}.\n\n"
        "Bu mesajı siz yazmadıysanız bu e-postayı dikkate almayın; bir şey yapmanız gerekmez.\n",
    ),
    "it": _Words(
        "Abbiamo ricevuto il suo messaggio",
        "Buongiorno,\n\ngrazie: il suo messaggio inviato tramite «{form}» è arrivato. Il riferimento è {reference}.\n\n"
        "Se non è stato lei a scrivere, ignori pure questa e-mail: non deve fare nulla.\n",
    ),
    "pt": _Words(
        "Recebemos a sua mensagem",
        "Olá,\n\nobrigado: a sua mensagem enviada por “{form}” chegou. A referência é {reference}.\n\n"
        "Se não foi você que escreveu, ignore este e-mail; não precisa de fazer nada.\n",
    ),
}
