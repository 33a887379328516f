"""A body against the rules of each field: what is kept, in which form, and the sentence for what is not."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import FormInvalid
from app.forms.checks import unavailable_checks
from app.forms.drafts import Choices, draft_of
from app.forms.fields import FIELDS, default_of
from app.model.form import Form, HumanCheck
from app.settings import Settings
from tests.forms.owning import form_body

CHOICES = Choices(smtp_ids=(1, 2, 1007), templates=("Default", "Professional"), most_recipients=50, longest_subject=998)
NO_TEXT: list[Any] = [0, True, [], {}]


def draft(choices: Choices = CHOICES, /, **fields: Any) -> Form:
    return draft_of(form_body(**fields), project_id=1, key="k", path_name="contact", is_update=False, choices=choices)


def faults(choices: Choices = CHOICES, /, **fields: Any) -> dict[str, list[str]]:
    with pytest.raises(FormInvalid) as raised:
        draft(choices, **fields)
    return raised.value.errors


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("recipients", value) for value in ([], "a@example.com", ["a"], ["a@b"], ["A <a@example.com>"], [None], [1])),
        ("recipients", [f"a{number}@example.com" for number in range(21)]),
        ("recipients", ["a@example.com\nBcc: b@example.com"]),
        ("recipients", ["=?utf-8?q?a?=@example.com"]),
        *(("smtpId", value) for value in (0, 3, 1000, -1, 2**31, "1", 1.0, True)),
        *(("template", value) for value in ("Modern", "", "../_base", *NO_TEXT)),
        *(("subject", value) for value in ("x" * 999, "a\r\nBcc: b@example.com", "a\x00", *NO_TEXT)),
        *(("requiredFields", value) for value in ("email", [""], [" "], ["x" * 201], ["a\nb"], [1], [["a"]])),
        ("requiredFields", [f"field-{number}" for number in range(51)]),
        *(
            ("allowedOrigins", value)
            for value in (
                [],
                ["null"],
                ["*"],
                ["https://*.example.com"],
                ["www.example.com"],
                ["//www.example.com"],
                ["https://www.example.com/contact"],
                ["https://www.example.com?x"],
                ["https://me:secret@www.example.com"],
                ["https://www.example.com:0"],
                ["ftp://www.example.com"],
                ["capacitor://localhost"],
                ["file://"],
                ["https://exa mple.com"],
                [f"https://{number}.example.com" for number in range(51)],
            )
        ),
        *(
            ("redirectTargets", value)
            for value in (
                "https://www.example.com",
                ["/thanks"],
                ["//evil.example"],
                ["https:evil.example"],
                ["https:///evil.example"],
                ["javascript:alert(1)"],
                ["data:text/html,x"],
                ["ftp://www.example.com/"],
                ["https://me@www.example.com/"],
                ["https://www.example.com@evil.example/"],
                ["https://www.example.com\\@evil.example/"],
                ["https://www.example.com/a\\b"],
                ["https://www.example.com/a b"],
                ["https://www.example.com/\t"],
                ["https://www.example.com/\r\nX: y"],
                ["https://www.example.com:99999/"],
                ["https://*/"],
                ["https://www.example.com/" + "x" * 2000],
            )
        ),
        *(("submissionsPerHour", value) for value in (0, 10_001, "100", 1.5, True)),
        *(("minAgeSeconds", value) for value in (-1, 3601, "3", True)),
        *(("check", value) for value in ("None", "recaptcha", "", True)),
        *((name, value) for name in ("acceptsFiles", "needsToken", "confirmation", "enabled") for value in (0, "no")),
        *(("name", value) for value in (5, "other", ["contact"])),
    ],
)
def test_what_is_wrong_with_a_field_is_said_of_it_in_sentences(name: str, value: Any) -> None:
    found = faults(**{name: value})
    assert set(found) == {name}
    for sentence in found[name]:
        assert sentence[0].isupper()
        assert sentence[-1] in ".:"
        assert sentence.isprintable()


@pytest.mark.parametrize("missing", ["recipients", "allowedOrigins"])
def test_what_a_form_needs_is_asked_for(missing: str) -> None:
    (sentence,) = faults(**{missing: None})[missing]
    assert "1 to 20 addresses" in sentence or "without one no page could submit the form" in sentence


def test_every_fault_is_told_at_once() -> None:
    found = faults(recipients=["x"], smtpId=9, check="turing", allowedOrigin=["https://a.example"])
    assert set(found) == {"recipients", "smtpId", "check", "allowedOrigin"}
    assert found["smtpId"] == ["The smtpId field must be one that the project can choose: 1, 2, 1007."]


def test_a_field_that_is_not_known_is_an_error_with_a_hint() -> None:
    assert faults(allowedorigin=[]) == {
        "allowedorigin": ["The allowedorigin field is not known for a form. Did you mean allowedOrigins?"]
    }
    assert faults(createdAt="x")["createdAt"] == ["The createdAt field is not known for a form."]
    many = faults(**{f"zz{number}": 1 for number in range(1000)})
    assert len(many) == 20
    assert all(len(name) <= 402 for name in faults(**{"\x1b" * 500: 1}))


def test_null_counts_as_not_given() -> None:
    body = form_body() | {field.name: None for field in FIELDS if not field.is_required} | {"name": None}
    drafted = draft_of(body, project_id=1, key="k", path_name="contact", is_update=False, choices=CHOICES)
    assert drafted == draft()


def test_the_documented_defaults_are_those_of_a_form() -> None:
    given = {field.name: default_of(field) for field in FIELDS if not field.is_required}
    assert draft(**given) == draft()


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("HTTPS://WWW.Example.com:443/", "https://www.example.com"),
        ("http://example.com:8080", "http://example.com:8080"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://[2001:DB8::1]", "http://[2001:db8::1]"),
        (" https://www.example.com ", "https://www.example.com"),
    ],
)
def test_an_origin_is_kept_as_a_browser_sends_it(written: str, kept: str) -> None:
    assert draft(allowedOrigins=[written, kept]).allowed_origins == (kept,)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://www.example.com", "https://www.example.com"),
        ("HTTPS://Bücher.example:443/Danke?a=b&c=%20#top", "https://xn--bcher-kva.example/Danke?a=b&c=%20#top"),
        ("https://www.example.com/danke-schön", "https://www.example.com/danke-sch%C3%B6n"),
        ("http://www.example.com:8080/a//b/", "http://www.example.com:8080/a//b/"),
        ("https://www.example.com/@me", "https://www.example.com/@me"),
    ],
)
def test_a_redirect_target_is_kept_as_a_browser_writes_it(written: str, kept: str) -> None:
    assert draft(redirectTargets=[written]).redirect_targets == (kept,)


def test_texts_are_kept_once_and_in_normal_form() -> None:
    drafted = draft(
        recipients=["Office@EXAMPLE.com", "Office@example.com", " b@example.com"],
        requiredFields=["email", "email", " Your name "],
        template="professional",
        subject="  ",
    )
    assert drafted.recipients == ("Office@example.com", "b@example.com")
    assert drafted.required_fields == ("email", "Your name")
    assert drafted.template == "Professional"
    assert drafted.subject is None


def test_a_service_that_allows_fewer_recipients_is_obeyed() -> None:
    choices = Choices(smtp_ids=(), templates=(), most_recipients=2, longest_subject=10)
    three = [f"{name}@example.com" for name in "abc"]
    assert faults(choices, recipients=three) == {"recipients": ["The recipients field must hold 1 to 2 addresses."]}
    assert "there is no SMTP configuration" in faults(choices, smtpId=1)["smtpId"][0]
    assert "at most 10" in faults(choices, subject="x" * 11)["subject"][0]


def test_a_secret_in_an_origin_or_a_target_is_not_repeated() -> None:
    for name in ("allowedOrigins", "redirectTargets"):
        assert "hush" not in str(faults(**{name: ["https://me:hush@www.example.com"]}))


def test_a_captcha_needs_its_keys() -> None:
    unavailable = unavailable_checks(Settings(hcaptcha_site_key="site", turnstile_secret_key="secret"))
    assert {HumanCheck.TURNSTILE, HumanCheck.HCAPTCHA} <= set(unavailable)
    choices = Choices(smtp_ids=(), templates=(), most_recipients=2, longest_subject=10, unavailable=unavailable)
    (sentence,) = faults(choices, check="turnstile")["check"]
    assert "TURNSTILE_SITE_KEY" in sentence
    assert "TURNSTILE_SECRET_KEY" in sentence
    assert draft(choices, check="none").check is HumanCheck.NONE


def test_a_captcha_with_both_keys_can_be_chosen() -> None:
    settings = Settings(turnstile_site_key="site", turnstile_secret_key="secret")
    assert HumanCheck.TURNSTILE not in unavailable_checks(settings)
    assert HumanCheck.HCAPTCHA in unavailable_checks(settings)
    assert HumanCheck.NONE not in unavailable_checks(settings)


_HOSTILE = st.text(st.sampled_from("htps:/\\@#?.[]%*evilx \t\r\n\0é:80"), max_size=40)


@given(_HOSTILE.map(lambda text: f"https://a.example{text}") | _HOSTILE.map(lambda text: f"https:{text}"))
def test_whatever_is_kept_as_a_redirect_target_is_absolute_and_unambiguous(text: str) -> None:
    try:
        (kept,) = draft(redirectTargets=[text]).redirect_targets
    except FormInvalid:
        return
    parts = urlsplit(kept)
    assert parts.scheme in ("http", "https")
    assert parts.hostname
    assert "@" not in parts.netloc
    assert kept.isascii()
    assert kept.isprintable()
    assert not set(kept) & set("\\ \t\r\n")
    assert draft(redirectTargets=[kept]).redirect_targets == (kept,), "it is its own normal form"


@given(_HOSTILE.map(lambda text: f"https://{text}") | _HOSTILE)
def test_whatever_is_kept_as_an_origin_is_nothing_but_one(text: str) -> None:
    try:
        (kept,) = draft(allowedOrigins=[text]).allowed_origins
    except FormInvalid:
        return
    parts = urlsplit(kept)
    assert kept == f"{parts.scheme}://{parts.netloc}"
    assert parts.hostname
    assert "@" not in parts.netloc
    assert draft(allowedOrigins=[kept]).allowed_origins == (kept,)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*(field.name for field in FIELDS), "name", "key"]) | st.text(max_size=9), _JSON)
)
def test_any_body_is_a_whole_form_or_refused(body: dict[str, Any]) -> None:
    try:
        drafted = draft_of(body, project_id=1, key="k", path_name="contact", is_update=False, choices=CHOICES)
    except FormInvalid:
        return
    assert drafted.recipients
    assert drafted.allowed_origins
