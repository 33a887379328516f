"""What visitors are told in each language: the same things, with the same places."""

import tomllib
from pathlib import Path
from string import Formatter

import pytest

from app.intake import languages
from app.intake.languages import LANGUAGES, language
from app.model.form import Fault
from tests.intake.conftest import Counter
from tests.intake.page import Page

FOLDER = Path(languages.__file__).parent


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_there_is_a_file_for_each_language_and_none_besides() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(LANGUAGES)
    assert LANGUAGES == ("en", "de", "fr", "es", "tr", "it", "pt")


@pytest.mark.parametrize("code", LANGUAGES)
def test_all_languages_say_the_same_things_with_the_same_places(code: str) -> None:
    english, texts = language("en").texts, language(code).texts
    assert list(texts) == list(english)
    assert {key: places(text) for key, text in texts.items()} == {key: places(text) for key, text in english.items()}
    assert all(text == text.strip() and text for text in texts.values())


@pytest.mark.parametrize("code", LANGUAGES[1:])
def test_nothing_was_left_in_english(code: str) -> None:
    english = language("en").texts
    same = {key for key, text in language(code).texts.items() if text == english[key]}
    assert same <= {"direction", "minute", "minutes"}  # French has the English words for both


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_words_in_every_language(code: str, fault: Fault) -> None:
    assert language(code).say(fault)


@pytest.mark.parametrize(
    ("seconds", "code", "duration"),
    [
        (0, "en", "1 second"),
        (0.2, "en", "1 second"),
        (59, "de", "59 Sekunden"),
        (59.5, "de", "1 Minute"),
        (61, "fr", "2 minutes"),
        (3599, "es", "1 hora"),
        (3601, "it", "1 ora 1 minuto"),
        (7200, "tr", "2 saat"),
        (90000, "pt", "25 horas"),
    ],
)
def test_a_wait_is_rounded_up_and_said_in_the_language(seconds: float, code: str, duration: str) -> None:
    assert language(code).duration(seconds) == duration


@pytest.mark.parametrize(
    ("accepted", "code", "thanks"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de", "Vielen Dank!"),
        ("fr-CA", "fr", "Merci !"),
        ("es-419, en;q=0.3", "es", "¡Muchas gracias!"),
        ("tr", "tr", "Teşekkür ederiz!"),
        ("it-CH", "it", "Grazie!"),
        ("pt-BR", "pt", "Muito obrigado!"),
        ("ja, pt;q=0.2", "pt", "Muito obrigado!"),
        ("ja", "en", "Thank you!"),
        ("*", "en", "Thank you!"),
        ("", "en", "Thank you!"),
        ("x" * 5000, "en", "Thank you!"),
        ("de;q=nonsense, \x7f", "en", "Thank you!"),
    ],
)
def test_a_visitor_is_answered_in_their_language(counter: Counter, accepted: str, code: str, thanks: str) -> None:
    answer = counter.post({"message": "x"}, headers={"Accept-Language": accepted})
    page = Page(answer.text)
    assert (page.language, answer.headers["Content-Language"]) == (code, code)
    assert thanks in page.text
    json = counter.post({"message": "x"}, headers={"Accept-Language": accepted, "Accept": "application/json"}).json
    assert json["message"].startswith(thanks)


def test_the_files_are_read_as_they_are_written() -> None:
    assert tomllib.loads((FOLDER / "tr.toml").read_text("utf-8"))["send"] == language("tr").say("send")
