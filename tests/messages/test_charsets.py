"""Which character set a text is sent in: the one that was asked for where the text fits, else UTF-8."""

import pytest

from app.messages.charsets import fitted
from app.messages.mime import text_part

from .composing import COMPOSER, NOW, request
from .wire_parser import read_message


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("utf-8", "utf-8"),
        ("UTF-8", "utf-8"),
        ("utf8", "utf-8"),
        ("ISO-8859-9", "iso-8859-9"),
        ("latin-1", "iso-8859-1"),
        ("cp1254", "windows-1254"),
        ("windows-1252", "windows-1252"),
        ("US-ASCII", "us-ascii"),
        ("iso-2022-jp", "iso-2022-jp"),
        ("GB18030", "gb18030"),
        # These are no character sets, change ASCII, or are unknown to mail clients.
        *[(name, "utf-8") for name in ("utf-16", "utf-7", "utf-8-sig", "cp037", "hz", "punycode", "idna", "palmos")],
        *[(name, "utf-8") for name in ("rot13", "base64", "unicode_escape", "raw_unicode_escape", "undefined")],
        *[(name, "utf-8") for name in ("", "no such", "\0", "é", "x" * 300)],
    ],
)
def test_a_character_set_goes_by_the_name_that_mail_clients_know(charset: str, name: str) -> None:
    assert fitted("plain", charset) == (name, b"plain")


@pytest.mark.parametrize(
    ("text", "charset", "name"),
    [
        ("Grüße", "iso-8859-1", "iso-8859-1"),
        ("Şişli", "iso-8859-9", "iso-8859-9"),
        ("Grüße €", "iso-8859-1", "utf-8"),
        ("Grüße €", "windows-1252", "windows-1252"),
        ("日本", "iso-2022-jp", "iso-2022-jp"),
        ("日本", "us-ascii", "utf-8"),
        # Shift_JIS writes a yen sign where a backslash is read.
        ("¥", "shift_jis", "utf-8"),
        # An escape sequence in the text would be read as a change of the character set.
        ("\x1b$B", "iso-2022-jp", "utf-8"),
    ],
)
def test_a_text_that_does_not_fit_goes_in_utf_8(text: str, charset: str, name: str) -> None:
    assert fitted(text, charset) == (name, text.encode(name))


def test_a_lone_surrogate_is_in_no_character_set() -> None:
    assert fitted("a\ud800b", "iso-8859-1") == ("utf-8", "a\ufffdb".encode())


@pytest.mark.parametrize("charset", ["iso-8859-9", "iso-2022-jp", "utf-8"])
@pytest.mark.parametrize("text", ["İstanbul'da ğüşöç\n.\nFrom x\n", "日本語の本文\n" * 20, "plain\n"])
def test_a_part_reads_back_in_its_character_set(text: str, charset: str) -> None:
    part = text_part(text, "plain", charset)
    content = f"MIME-Version: 1.0\r\n{part.fields}\r\n".encode() + part.body
    leaf = read_message(content if content.endswith(b"\r\n") else content + b"\r\n")
    assert leaf.content.decode(leaf.parameters["charset"]).replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")


def test_each_part_of_a_message_decides_by_itself_and_html_says_so_too() -> None:
    message = COMPOSER.compose(
        request(message="Grüße", username="Zoë", template="Modern", subject_template="x"),
        email_id="A3F2B1C9",
        created_at=NOW,
        to=["box@example.org"],
        message_id_domain="example.org",
        charset="ISO-8859-1",
    )
    text, html = read_message(message.content).leaves()
    assert text.parameters == {"charset": "iso-8859-1"}
    assert "Grüße".encode("iso-8859-1") in text.content
    written = html.content.decode(html.parameters["charset"])
    assert written.count("<meta charset=") == written.count(f'<meta charset="{html.parameters["charset"]}">') == 1
