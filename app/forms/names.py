"""What the fields of forms are called, in the languages that visitors' pages speak. Used by `recognition`.

Names are compared as `plain_name` writes them, so `E-Mail`, `e_mail` and `email[]` are one; where a form keeps its
fields in a container, as `form[email]` or `data.email` do, the last part counts. Of several the first wins.
"""

import re
import unicodedata
from functools import lru_cache

_LONGEST = 100
"""Longer names are none of these."""


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in decomposed if character.isalnum()).replace("ı", "i")


def plain_name(name: str) -> str:
    """`name` without case, accents and separators: `Prénom :` is `prenom`, `Adınız` is `adiniz`."""
    return _plain(name) if len(name) <= _LONGEST else name.casefold()


# Of Rails, PHP and JSON; ASP.NET's `$` and JSF's `:`. Labels for people, as `Tel. name`, have a space there.
_SEPARATORS = re.compile(r"[\[\]$]|[.:](?!\s)")
_NUMBER = re.compile(r"[\s_-]*[0-9]{1,3}\Z")


@lru_cache(maxsize=4096)
def last_name(name: str) -> tuple[str, int]:
    """The plain name of the last part of `name`, as `email` of `data[User][email]`, and how deep in containers it is.

    The depth is 3 for each container; 1 more where the containers' names say nothing, as those of `contact[name]` do;
    and 1 more for a number at the end, which is left out of `Email-2`. What is in a list, as `items[0].name`, says
    nothing of the visitor: it has its whole name.
    """
    whole = plain_name(name)
    parts = _parts(name)
    if any(part.isdecimal() for part in parts[:-1]):
        return whole, 0
    depth = 3 * (len(parts) - 1)
    if whole in _KNOWN:
        return whole, depth
    last, unnumbered = plain_name(parts[-1]), plain_name(_NUMBER.sub("", parts[-1]))
    if last not in _KNOWN and unnumbered in _KNOWN:
        return unnumbered, depth + 2
    return last, depth + 1


def required_names(name: str) -> set[str]:
    """The plain names under which the owner of a form may require this field."""
    return {plain_name(name), plain_name(_parts(name)[-1]), last_name(name)[0]}


def _parts(name: str) -> list[str]:
    """The containers of `name` and its last part, without its place in a list, as in `email[]` and `email[0]`."""
    parts = [part for part in _SEPARATORS.split(name) if part.strip()]
    while len(parts) > 1 and parts[-1].isdecimal():
        parts.pop()
    return parts or [name]


def _plain_names(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(plain_name, names)))


EMAIL = _plain_names(
    *("email", "email address", "your email", "your email address", "user email", "contact email", "customer email"),
    *("sender email", "visitor email", "from email", "client email", "reply email", "e mail adresse", "email adresse"),
    *("mail", "mail address", "your mail", "mailadresse", "ihre email", "ihre e-mail-adresse", "deine email"),
    *("courriel", "adresse email", "adresse mail", "adresse courriel", "votre email", "votre courriel", "mél", "mel"),
    *("correo", "correo electrónico", "correo electronico", "tu correo", "su correo", "tu email", "su email"),
    *("eposta", "e-posta adresi", "e-posta adresiniz", "e-postanız", "email adresi", "email adresiniz"),
    *("posta elettronica", "indirizzo email", "indirizzo e-mail", "la tua email", "tua email", "la sua email"),
    *("correio", "correio eletrónico", "correio eletrônico", "endereço de email", "endereço de e-mail", "seu email"),
)

FULL_NAME = _plain_names(
    *("name", "full name", "your name", "your full name", "user name", "contact name", "customer name", "sender name"),
    *("visitor name", "client name", "vollständiger Name", "ihr Name", "dein Name", "Vor- und Nachname"),
    *("Vorname und Nachname", "nom complet", "votre nom", "nom et prénom", "nom prénom", "prénom et nom", "nom"),
    *("nombre completo", "tu nombre", "su nombre", "nombre y apellidos", "nombre y apellido", "nombre"),
    *("ad soyad", "adı soyadı", "adınız soyadınız", "adınız", "isminiz", "isim soyisim", "isim", "ad"),
    *("nome completo", "nome e cognome", "il tuo nome", "nome e sobrenome", "nome e apelido", "seu nome", "nome"),
)
GIVEN_NAME = _plain_names(
    *("first name", "firstname", "given name", "forename", "fname", "your first name"),
    *("Vorname", "ihr Vorname", "prénom", "votre prénom", "primer nombre", "primeiro nome"),
)
FAMILY_NAME = _plain_names(
    *("last name", "lastname", "family name", "surname", "lname", "your last name"),
    *("Nachname", "Familienname", "ihr Nachname", "nom de famille", "apellidos", "apellido", "primer apellido"),
    *("soyad", "soyadı", "soyadınız", "soyisim", "cognome", "sobrenome", "apelido", "último nome"),
)

MESSAGE = _plain_names(
    *("message", "your message", "msg", "message text", "message body", "comments", "comment", "your comments"),
    *("body", "text", "content", "enquiry", "inquiry", "question", "your question", "feedback", "description"),
    *("Nachricht", "ihre Nachricht", "deine Nachricht", "Mitteilung", "Anfrage", "Kommentar", "Anliegen"),
    *("votre message", "commentaire", "commentaires", "votre commentaire", "demande"),
    *("mensaje", "tu mensaje", "su mensaje", "comentario", "comentarios", "consulta"),
    *("mesaj", "mesajınız", "mesajınızı yazın", "ileti", "yorum", "açıklama"),
    *("messaggio", "il tuo messaggio", "il suo messaggio", "commento", "commenti", "richiesta"),
    *("mensagem", "sua mensagem", "a sua mensagem", "comentário", "comentários"),
)

SUBJECT = _plain_names(
    *("subject", "your subject", "message subject", "email subject", "topic", "Betreff", "Thema"),
    *("objet", "sujet", "asunto", "tema", "konu", "konu başlığı", "oggetto", "argomento", "assunto"),
)

REPLY_TO = _plain_names("replyto")

_KNOWN = frozenset((*EMAIL, *FULL_NAME, *GIVEN_NAME, *FAMILY_NAME, *MESSAGE, *SUBJECT, *REPLY_TO))
