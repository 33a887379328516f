"""Reading mail: what well-formed messages say, and that no malformed one raises."""

from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inbox.decoding import decode_bytes, decode_field, plain_file_name
from app.inbox.message import StoredMessage
from app.inbox.reader import PARTS_LIMIT, read_message

NOW = datetime(2026, 1, 7, tzinfo=UTC)


def read(content: bytes) -> StoredMessage:
    return read_message(content, id="1", received_at=NOW, envelope_from="a@example.com", recipients=("b@example.com",))


def test_a_message_with_everything_is_taken_apart() -> None:
    message = EmailMessage(policy=SMTP)
    message["Subject"] = "Prüfung ✉️"
    message["From"] = "letterbox@example.com"
    message["Reply-To"] = '"Łukasz, <x>" <l@example.com>'
    message["To"] = "you@example.com"
    message.set_content("Zażółć\r\n")
    message.add_alternative("<p>Zażółć</p>", subtype="html")
    message.add_attachment(b"\0\r\n.\r\n\xff", maintype="application", subtype="pdf", filename="Rechnung für März.pdf")
    read_back = read(bytes(message))
    assert read_back.summary.subject == "Prüfung ✉️"
    assert read_back.summary.reply_to == "Łukasz, <x> <l@example.com>"
    assert (read_back.summary.sender, read_back.summary.to) == ("letterbox@example.com", "you@example.com")
    assert (read_back.text or "").strip() == "Zażółć"
    assert (read_back.html or "").strip() == "<p>Zażółć</p>"
    [attachment] = read_back.attachments
    assert (attachment.file_name, attachment.content) == ("Rechnung für März.pdf", b"\0\r\n.\r\n\xff")
    assert attachment.content_type == "application/pdf"
    assert read_back.summary.attachment_count == 1


def test_a_message_inside_a_message_is_an_attachment() -> None:
    inner = EmailMessage(policy=SMTP)
    inner["Subject"] = "Inner"
    inner.set_content("inside")
    outer = EmailMessage(policy=SMTP)
    outer["Subject"] = "Outer"
    outer.set_content("outside")
    outer.add_attachment(inner)
    read_back = read(bytes(outer))
    assert (read_back.text or "").strip() == "outside"
    [attachment] = read_back.attachments
    assert attachment.content_type == "message/rfc822"
    assert attachment.file_name.endswith(".eml")
    assert b"Subject: Inner" in attachment.content


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?= an =?utf-8?b?QWxsZQ==?=", "Grüße an Alle"),
        ("=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"),
        ("=?iso-8859-1*de?q?=FCber?=", "über"),
        ("=?no-such-charset?q?x?=", "x"),
        ("=?utf-8?b?*?=", ""),
        ("=?utf-8?b?A?=", "=?utf-8?b?A?="),
        ("=?utf-8?q?a=0D=0ABcc:_evil?=", "a Bcc: evil"),
        ("plain\r\n folded", "plain folded"),
        ("\udcc3\udcbc 8-bit", "ü 8-bit"),
        ("\udcff broken", "\ufffd broken"),
        ("nul\0 and esc\x1b", "nul\ufffd and esc\ufffd"),
        ("=?unicode_escape?q?=5Cud800?=", "?"),
    ],
)
def test_fields_are_decoded_as_far_as_possible(raw: str, shown: str) -> None:
    assert decode_field(raw) == shown


@pytest.mark.parametrize("charset", [None, "utf-8", "latin-1", "nonsense", "a\0b", "hex", "idna", "punycode", "utf-7"])
def test_any_charset_gives_text_that_can_be_encoded(charset: str | None) -> None:
    decode_bytes(b"+2AA- \xff\xfe\0abc", charset).encode("utf-8")


@pytest.mark.parametrize(
    ("claimed", "plain"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\evil.exe", "evil.exe"),
        ("..", ""),
        ('<img src=x onerror="alert(1)">.html', "_img src=x onerror=_alert(1)__.html"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\r\nSet-Cookie: x", "a Set-Cookie_ x"),
        ("=?utf-8?q?=C3=BC.txt?=", "ü.txt"),
        ("x" * 1000, "x" * 150),
    ],
)
def test_file_names_become_plain(claimed: str, plain: str) -> None:
    assert plain_file_name(claimed) == plain


MALFORMED = {
    "nothing": b"",
    "no header": b"just some text",
    "only line ends": b"\r\n\r\n\r\n",
    "bytes": bytes(range(256)) * 4,
    "boundary never comes": b"Content-Type: multipart/mixed; boundary=x\r\n\r\nhello",
    "no boundary": b"Content-Type: multipart/mixed\r\n\r\nhello",
    "open quote": b'Content-Type: text/plain; charset="utf-8\r\n\r\nhello',
    "bad base64": b"Content-Transfer-Encoding: base64\r\n\r\n****=A",
    "bad uuencode": b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\nzzzzz\r\n",
    "strange encoding": b"Content-Transfer-Encoding: \xff\xfe\r\n\r\nhello",
    "strange charset": b"Content-Type: text/plain; charset*=a%00b'c'%ff\r\n\r\nhello",
    "strange file name": b"Content-Disposition: attachment; filename*0*=\0''%; filename*9999999999=x\r\n\r\nhello",
    "strange type": b"Content-Type: \xff/\xff; =;;=\r\n\r\nhello",
    "header without name": b": x\r\nSubject: y\r\n\r\nhello",
    "multipart in base64": b"Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\n--x\n",
    "deeply nested": b"".join(
        b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(3000)
    ),
    "message in message": b"Content-Type: message/rfc822\r\n\r\n" * 500,
    "delivery status": b"Content-Type: message/delivery-status\r\n\r\nA: \xff\r\n\r\nB: b\r\n",
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_mail_is_shown_somehow(content: bytes) -> None:
    message = read(content)
    assert message.text is not None or message.html is not None or message.attachments
    repr(message).encode("utf-8")


def test_a_message_nested_too_deeply_to_parse_is_shown_with_its_fields_and_its_raw_body() -> None:
    message = read(b"Subject: Deep\r\n" + MALFORMED["deeply nested"])
    assert message.summary.subject == "Deep"
    assert "--2999" in (message.text or "")


def test_parts_without_end_are_cut() -> None:
    message = read(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\na\r\n" * 2000)
    assert len(message.attachments) == PARTS_LIMIT - 1


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    b"Content-Type: ",
                    b"multipart/mixed; boundary=x",
                    b"text/html; charset=",
                    b"\r\n",
                    b"\r\n\r\n",
                    b"--x",
                ]
            ),
            st.sampled_from(
                [
                    b"Content-Transfer-Encoding: base64",
                    b"Content-Disposition: attachment; filename",
                    b"*0*=",
                    b"=?utf-8?q?",
                ]
            ),
            st.binary(max_size=20),
        ),
        max_size=30,
    )
)
def test_no_bytes_make_the_reader_raise(pieces: list[bytes]) -> None:
    repr(read(b"".join(pieces))).encode("utf-8")
