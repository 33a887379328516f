"""The fields of forms by what they mean: the forms of many pages, and that nothing typed is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SubmissionInvalid
from app.forms.recognition import is_control, recognise, shown_names
from app.forms.submission import Recognised, Submission
from app.model.attachment import Attachment
from app.model.form import Fault, Form

FORM = Form(key="contact", name="Contact", recipients=("office@example.com",))


def recognised(*fields: tuple[str, str], **form: object) -> Recognised:
    return recognise(Submission(fields=fields), _form(**form))


def faults(*fields: tuple[str, str], **form: object) -> dict[str, tuple[Fault, ...]]:
    with pytest.raises(SubmissionInvalid) as refusal:
        recognised(*fields, **form)
    return dict(refusal.value.errors)


def _form(**changes: object) -> Form:
    return Form(key="contact", name="Contact", recipients=("office@example.com",), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("email", "name", "message", "subject"),
    [
        ("email", "name", "message", "subject"),
        ("E-Mail", "Full Name", "Comments", "Topic"),
        ("email_address", "fullname", "msg", "your-subject"),
        ("your-email", "your-name", "your-message", "your-subject"),
        ("email[]", "name[]", "message[]", "subject[]"),
        ("E-Mail-Adresse", "Vor- und Nachname", "Nachricht", "Betreff"),
        ("courriel", "nom_complet", "commentaire", "objet"),
        ("correo", "nombre", "mensaje", "asunto"),
        ("eposta", "Adınız", "MESAJINIZ", "Konu"),
        ("indirizzo email", "nome", "messaggio", "oggetto"),
        ("correio", "nome", "mensagem", "assunto"),
    ],
)
def test_the_usual_fields_are_known_by_their_names(email: str, name: str, message: str, subject: str) -> None:
    assert recognised(
        (email, " ada@example.com "),
        (name, "Ada Lovelace"),
        (message, "Hello!\r\nAda"),
        (subject, "A table"),
        ("x", "1"),
    ) == Recognised(
        email="ada@example.com",
        username="Ada Lovelace",
        message="Hello!\r\nAda",
        subject="A table",
        custom_fields={"x": "1"},
    )


@pytest.mark.parametrize(
    "container",
    [
        *("form[{}]", "fields[{}]", "form_fields[{}]", "contact[{}]", "data[User][{}]", "data[{}][]", "form[{}][0]"),
        *("data.{}", "contact.person.{}", "Input.{}", "ctl00$Main${}", "j_form:{}", "your-{}", "{}-2", "{}_1", "{} 2"),
    ],
)
def test_a_name_in_a_container_is_known_by_its_last_part(container: str) -> None:
    email, name, message = map(container.format, ("email", "name", "message"))
    result = recognised((email, "ada@example.com"), (name, "Ada"), (message, "Hello!"), ("x[y]", "1"))
    assert result == Recognised(email="ada@example.com", username="Ada", message="Hello!", custom_fields={"x[y]": "1"})


@pytest.mark.parametrize("name", ["form[email]", "contact[email]", "data.email", "email[0]", "Email-2", "E-MAIL"])
def test_a_required_field_may_be_in_a_container(name: str) -> None:
    assert recognised((name, "ada@example.com"), required_fields=("email",)).email == "ada@example.com"
    assert faults((name, ""), ("x", "1"), required_fields=("email",)) == {name: (Fault.REQUIRED,)}
    assert recognised(("a[phone]", "1"), required_fields=("phone",)).custom_fields == {"a[phone]": "1"}


@pytest.mark.parametrize(
    ("likelier", "other"),
    [
        ("email", "form[email]"),
        ("mail", "form[email]"),
        ("form[email]", "data[User][email]"),
        ("data.email", "data.user.email"),
        ("contact[email]", "company[email]"),
        ("email", "Email-2"),
        ("Email-2", "form[email]"),
        ("data[email]", "data[Email-2]"),
    ],
)
def test_the_shallower_of_two_counts_and_the_other_stays(likelier: str, other: str) -> None:
    fields = [(other, "b@example.com"), (likelier, "a@example.com")]
    for pairs in (fields, fields[::-1]):
        result = recognised(*pairs)
        assert (result.email, result.custom_fields) == ("a@example.com", {other: "b@example.com"})


def test_parts_of_names_in_two_containers_are_those_of_two_people() -> None:
    result = recognised(("name", "Ada Lovelace"), ("guest[first_name]", "Charles"), ("guest[last_name]", "Babbage"))
    assert result.username == "Ada Lovelace"
    assert list(result.custom_fields) == ["guest[first_name]", "guest[last_name]"]
    assert recognised(("me[first_name]", "Ada"), ("me[last_name]", "Lovelace")).username == "Ada Lovelace"


@pytest.mark.parametrize(
    "name", ["items[0][name]", "fields[1].name", "guests[12].email", "Tel. name", "name of pet: x"]
)
def test_what_is_in_a_list_or_in_a_label_says_nothing_of_the_visitor(name: str) -> None:
    result = recognised((name, "c@example.com"), ("x", "1"))
    assert (result.username, result.email) == ("", "")
    assert result.custom_fields == {name: "c@example.com", "x": "1"}


@pytest.mark.parametrize("name", ["email", "form[email]", "_replyto"])
@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("a@example.com,b@example.com", ("a@example.com", "b@example.com")),
        (" a@example.com ; b@Example.com, ", ("a@example.com", "b@example.com")),
        ("a@example.com,a@example.com", ("a@example.com",)),
        (",".join(f"{letter}@example.com" for letter in "abcde"), tuple(f"{letter}@example.com" for letter in "abcde")),
    ],
)
def test_a_list_of_addresses_is_where_answers_go(name: str, value: str, addresses: tuple[str, ...]) -> None:
    result = recognised((name, value), ("message", "Hi"))
    assert result.email == addresses[0]
    is_list = len(addresses) > 1
    assert result.reply_to == (addresses if is_list else ())
    assert result.custom_fields == ({name: value} if is_list else {})


def test_too_many_addresses_in_a_list_are_a_fault() -> None:
    value = ",".join(f"{letter}@example.com" for letter in "abcdef")
    assert faults(("email", value)) == {"email": (Fault.NOT_AN_ADDRESS,)}
    assert faults(("email", "a@example.com," * 10_000)) == {"email": (Fault.NOT_AN_ADDRESS,)}


@pytest.mark.parametrize(
    ("fields", "whole", "left"),
    [
        ([("first_name", "Ada"), ("last_name", "Lovelace")], "Ada Lovelace", []),
        ([("Nachname", "Lovelace"), ("Vorname", "Ada")], "Ada Lovelace", []),
        ([("nom", "Lovelace"), ("prénom", "Ada")], "Ada Lovelace", []),
        ([("nombre", "Ada"), ("apellidos", "Lovelace")], "Ada Lovelace", []),
        ([("nome", "Ada"), ("cognome", "Lovelace")], "Ada Lovelace", []),
        ([("ad", "Ada"), ("soyad", "Lovelace")], "Ada Lovelace", []),
        ([("name", "Ada Lovelace"), ("firstname", "Ada")], "Ada Lovelace", ["firstname"]),
        ([("name", "Ada Lovelace"), ("surname", "Lovelace")], "Ada Lovelace", ["surname"]),
        ([("name", "Countess"), ("firstname", "Ada"), ("lastname", "King")], "Countess", ["firstname", "lastname"]),
        ([("firstname", "Ada")], "Ada", []),
        ([("firstname", " "), ("lastname", "Lovelace")], "Lovelace", []),
    ],
)
def test_a_name_in_parts_is_put_together(fields: list[tuple[str, str]], whole: str, left: list[str]) -> None:
    result = recognised(*fields)
    assert result.username == whole
    assert list(result.custom_fields) == left


def test_of_two_candidates_the_likelier_takes_the_role_and_the_other_stays() -> None:
    result = recognised(
        ("text", "small print"), ("message", "Hello"), ("mail", "b@example.com"), ("email", "a@example.com")
    )
    assert (result.email, result.message) == ("a@example.com", "Hello")
    assert result.custom_fields == {"text": "small print", "mail": "b@example.com"}


def test_a_candidate_that_is_no_address_leaves_the_role_to_one_that_is() -> None:
    result = recognised(("email", "call me"), ("mail", "b@example.com"))
    assert result.email == "b@example.com"
    assert result.custom_fields == {"email": "call me"}


def test_an_address_that_was_typed_twice_is_told_once() -> None:
    assert recognised(("email", "a@example.com"), ("your-email", "a@example.com"), ("x", "1")).custom_fields == {
        "x": "1"
    }


def test_repeated_names_become_lists_in_the_order_of_the_form() -> None:
    lines = "\n".join(["a" * 101, "b"])
    assert recognised(
        ("days[]", "Mon"), ("other", "1"), ("days[]", "Fri"), ("days[]", ""), ("notes", "a" * 101), ("notes", "b")
    ).custom_fields == {"days[]": "Mon, Fri", "other": "1", "notes": lines}


def test_a_second_address_of_the_same_field_stays() -> None:
    result = recognised(("email", "a@example.com"), ("email", "b@example.com"))
    assert (result.email, result.custom_fields) == ("a@example.com", {"email": "b@example.com"})


def test_control_fields_are_not_in_the_table() -> None:
    controls = ["_gotcha", "_honey", "botcheck", "_next", "redirect", "_format", "access_key", "_cc", "_bcc", "ccemail"]
    controls += ["_charset_", "altcha", "letterbox-token", "cf-turnstile-response", "h-captcha-response", "_captcha"]
    controls += ["g-recaptcha-response", "_template", "_autoresponse", "_webhook", "_blacklist", "_url", "_NEXT"]
    assert recognised(*((name, "x") for name in controls), ("from_name", "Shop")).custom_fields == {"from_name": "Shop"}
    assert all(map(is_control, controls))


def test_what_only_looks_like_a_control_field_stays() -> None:
    fields = {"next": "1", "cc": "2", "gotcha": "3", "template": "4", "webhook": "5", "url": "6", "__proto__": "7"}
    assert recognised(*fields.items()).custom_fields == fields


def test_a_pages_own_subject_goes_before_the_visitors_which_is_kept() -> None:
    result = recognised(("subject", "My question"), ("_subject", "From the web site"))
    assert result.subject == "From the web site"
    assert result.custom_fields == {"subject": "My question"}


@pytest.mark.parametrize("name", ["_replyto", "replyto", "reply_to"])
def test_replyto_is_the_visitors_address_where_the_form_has_no_other(name: str) -> None:
    result = recognised((name, "a@example.com"), ("message", "Hi"))
    assert (result.email, result.reply_to, result.custom_fields) == ("a@example.com", (), {})
    assert shown_names([name, "message"]) == {name, "message"}


def test_replyto_beside_an_address_is_where_answers_go() -> None:
    result = recognised(("email", "a@example.com"), ("_replyto", "b@example.com"))
    assert (result.email, result.reply_to, result.custom_fields) == ("a@example.com", ("b@example.com",), {})
    assert shown_names(["email", "_replyto"]) == {"email"}


@pytest.mark.parametrize("value", ["%email", "{{ email }}", "nonsense"])
def test_a_replyto_that_is_no_address_does_not_stop_a_visitor_who_gave_one(value: str) -> None:
    result = recognised(("email", "a@example.com"), ("_replyto", value))
    assert (result.reply_to, result.custom_fields) == ((), {"_replyto": value})


def test_what_is_too_long_for_its_place_is_kept_in_the_table() -> None:
    fields = {"name": "n" * 201, "subject": "s" * 999}
    result = recognised(*fields.items())
    assert (result.username, result.subject, result.custom_fields) == ("", "", fields)


def test_fields_named_like_placeholders_keep_their_own_text() -> None:
    result = recognised(("email", "a@example.com"), ("EMAIL", "b@example.com"), ("Username", "ada"), ("name", "Ada"))
    assert (result.email, result.username) == ("a@example.com", "Ada")
    assert result.custom_fields == {"EMAIL": "b@example.com", "Username": "ada"}


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert faults(("E-Mail", "ada@"), ("Message", " "), required_fields=("email", "message", "phone")) == {
        "E-Mail": (Fault.NOT_AN_ADDRESS,),
        "Message": (Fault.REQUIRED,),
        "phone": (Fault.REQUIRED,),
    }


@pytest.mark.parametrize("value", ["ada", "ada@", "@example.com", "a@b@example.com", "a@example.com, b", ","])
def test_what_is_no_address_is_a_fault(value: str) -> None:
    assert faults(("email", value)) == {"email": (Fault.NOT_AN_ADDRESS,)}
    assert faults(("_replyto", value)) == {"_replyto": (Fault.NOT_AN_ADDRESS,)}


def test_header_lines_in_an_address_are_a_fault() -> None:
    assert faults(("email", "a@example.com\r\nBcc: b@example.com")) == {"email": (Fault.NOT_AN_ADDRESS,)}


def test_an_address_may_be_left_out_where_it_is_not_required() -> None:
    assert recognised(("email", ""), ("message", "Hi")).email == ""


@pytest.mark.parametrize("fields", [(), (("email", " "), ("message", "\n")), (("_next", "/thanks"), ("altcha", "x"))])
def test_a_form_that_nobody_filled_in_is_refused(fields: tuple[tuple[str, str], ...]) -> None:
    assert faults(*fields)[""] == (Fault.EMPTY,)


def test_a_file_alone_is_something() -> None:
    file = Attachment("cv.pdf", "application/pdf", "", 0)
    assert recognise(Submission(fields=(("cv", "cv.pdf"),), files=(file,)), FORM).custom_fields == {"cv": "cv.pdf"}


_NAMES = st.sampled_from(
    [
        "email",
        "E-Mail",
        "mail",
        "name",
        "nom",
        "prénom",
        "last name",
        "message",
        "text",
        "subject",
        "_subject",
        "x",
        "",
        "replyto",
        "__proto__",
        "constructor",
        "items[0][name]",
        "email[]",
        "form[email]",
        "data[User][email]",
        "form[name]",
        "contact.message",
        "Email-2",
        "a\x00b",
    ]
)
_VALUES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["a@example.com", "b@example.com", "a@example.com,c@example.com", "Ada", "Lovelace"]),
)


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=12))
def test_nothing_that_was_typed_is_lost(fields: list[tuple[str, str]]) -> None:
    try:
        result = recognised(*fields)
    except SubmissionInvalid:
        return
    everything = "\0".join(
        [
            result.email,
            result.username,
            result.message,
            result.subject,
            *result.reply_to,
            *result.custom_fields.values(),
        ]
    )
    for _, value in fields:
        assert value.strip() in everything


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=20))
def test_any_names_are_taken(fields: list[tuple[str, str]]) -> None:
    try:
        result = recognised(*fields)
    except SubmissionInvalid as error:
        assert set(error.errors) <= {name for name, _ in fields} | {""}  # noqa: PT017 - either is fine
    else:
        order = list(dict.fromkeys(name for name, _ in fields))
        assert sorted(result.custom_fields, key=order.index) == list(result.custom_fields)
