"""Strategies for requests that want to break out of their message, built from the rows of message-safety."""

import base64
import random

from hypothesis import strategies as st

from app.model.attachment import Attachment
from app.model.email import AutoSubmitted, EmailRequest, Priority

FRAGMENTS = (
    "=?utf-8?q?a=0D=0ABcc:_evil=40x.test?=",
    "=?utf-8?b?DQpCY2M6IGV2aWxAeC50ZXN0?=",
    "=\0?utf-8?q?=0D=0ABcc:_evil=40x.test?\u202e=",
    "=?", "?=", "==??", "=", "?",
    "\r\nBcc: evil@x.test", "\r\n\r\n<b>", "\n.\n", "\r.\r", "\r\n.\r\n", "\n.\r\n", "\r\n.\n", "\r.\n",
    "\r", "\n", "\0", "\x0b", "\x0c", "\x1c", "\x7f", "\x85", "\x9f", "\u2028", "\u2029", "\t",
    "\u202e", "\u2066", "\u200f", "\u061c", "\ud800", "\udfff", "\ufeff", "\u200b", "\xa0", "\u3000",
    ",", ";", ":", "<evil@x.test>", "evil@x.test, ", '"', '\\', "\\\"", "'", "(comment)", "[", "@", "%", "*0*=", "''",
    '"Eve, <eve@x.test>, ', " ", "  ", "   ", ".", "..", "From ", "--", "--=_mixed_", "--=_alternative_",
    "Content-Type: text/html", "boundary=x",
    "a" * 77, "b" * 80, "c" * 1000, "日本語" * 30, "😀" * 40, "e\u0301", "ß", "Ω", "مرحبا", "שלום", "✉️",
    "{Email}", "{Username}", "{Message}", "{key}", "{7*7}", "{Email.__class__}", "{{config}}", "%(Email)s", "{", "}",
    "{{Message}}", "{ Email }", "{email}", "\\g<0>", "\\1",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "<a href='{key}'>", "</a>",
    "&amp;", "&", "<", ">", "<!--", "-->", "<b>", "</b>", "<p>", "<table>", "<td>", "<style>", "<svg>",
)  # fmt: skip

texts = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=12)), max_size=8).map("".join)
"""Any text, with a liking for the dangerous."""

ascii_addresses = st.sampled_from(
    ["ada@example.com", "o'neil+tag@mail.example.org", "{Email}@x.test", "a=b/c@x-y.test"]
)
addresses = st.one_of(
    ascii_addresses,
    st.sampled_from(["ada@bücher.example", "jörg@example.com", "用户@例え.jp", "x" * 64 + "@" + "y" * 60 + ".example"]),
)

address_lists = st.lists(addresses, max_size=12).map(tuple)
hidden_addresses = st.sampled_from([(), (), ("hidden@unseen.test",), ("hidden@unseen.test", "other@unseen.test")])

_X_NAMES = ("X-Note", "x-a", "X-<evil@x.test>", "X-=?utf-8?q?a?=", "X-" + "n" * 37, "X-" + "n" * 74)
_AUTO_SUBMITTED = st.sampled_from([{}, {}, {"auto-submitted": "no"}, {"Auto-Submitted": "Auto-Generated "}])
_STRUCTURED_NAMES = ("References", "in-reply-to", "List-Unsubscribe", "List-Id")
_STRUCTURED = (
    "<1@x.test>", "<1@x.test>  <2@x.test>", "<" + "i" * 90 + "@x.test> " * 9, "<https://x.test/?u=" + "a" * 900 + ">",
    '"A, list" <list.x.test>, (comment)', " <1@x.test>\r\n", "x" * 997, "a" + " " * 90 + "b",
)  # fmt: skip
headers = st.builds(
    lambda free, structured, automatic: free | structured | automatic,
    st.dictionaries(st.sampled_from(_X_NAMES), texts, max_size=3),
    st.dictionaries(st.sampled_from(_STRUCTURED_NAMES), st.sampled_from(_STRUCTURED), max_size=2),
    _AUTO_SUBMITTED,
)
refused_headers = st.one_of(
    st.dictionaries(
        st.sampled_from(
            [
                "Bcc",
                "Auto-Submitted",
                "To",
                "Subject",
                "X-Email-Id",
                "x-priority",
                "X-A\r\nBcc",
                "X-A: b",
                "X-",
                "",
                "X-É",
                "X-A B",
            ]
        ),
        texts,
        min_size=1,
        max_size=2,
    ),
    st.dictionaries(
        st.sampled_from(_STRUCTURED_NAMES),
        st.sampled_from(["<é@x.test>", "<1@x.test>\r\nBcc: evil@x.test", "=?utf-8?q?a?=", "x" * 998, "a\0b"]),
        min_size=1,
        max_size=1,
    ),
    st.just({"X-Note": "a", "x-note": "b"}),
)

charsets = st.one_of(
    st.just("utf-8"),
    st.sampled_from(["ISO-8859-1", "windows-1252", "us-ascii", "iso-2022-jp", "Shift_JIS", "gb18030", "koi8-r"]),
    st.sampled_from(
        ["utf-7", "utf-16", "utf_8_sig", "rot13", "raw_unicode_escape", "punycode", "hz", "cp037", "no such", "\0", ""]
    ),
)

# Around the border of the pieces that base64 is wrapped in; cut from one text, because drawing octets takes long.
LARGE = st.integers(29_170, 29_200).map(lambda length: random.Random(0).randbytes(length))

_PARAMETER_VALUES = (
    "REQUEST", "utf-8", "", " ", "a b", "a;b", "\\", '"', 'a"; name="evil.exe', "a\\", "(comment)", "a'b%41", "?=",
    "x" * 60, "y" * 75, "z w" * 60, "\\" * 90, "/:=@[]<>,", "= ?",
)  # fmt: skip
parameters = st.dictionaries(
    st.sampled_from(["charset", "method", "x-a", "n.o", "name", "boundary", "format", "p" * 60]),
    st.sampled_from(_PARAMETER_VALUES),
    max_size=10,
)


def _content_type(media_type: str, parameters: dict[str, str]) -> str:
    quoted = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in parameters.items()}
    return media_type + "".join(f'; {name}="{value}"' for name, value in quoted.items())


content_types = st.builds(
    _content_type,
    st.sampled_from(["application/pdf", "text/plain", "image/svg+xml", "message/rfc822", "multipart/mixed"]),
    st.one_of(st.just({}), parameters),
)

attachments = st.builds(
    lambda name, content_type, content: Attachment(
        name, content_type, base64.b64encode(content).decode(), len(content)
    ),
    name=texts,
    content_type=content_types,
    content=st.one_of(st.binary(max_size=200), LARGE, st.just(b"\r\n.\r\n" * 20)),
)

requests = st.builds(
    EmailRequest,
    email=addresses,
    username=texts,
    message=texts,
    custom_fields=st.dictionaries(
        st.one_of(st.sampled_from(["key", "Email", "Message", "7*7", "config", "Subject"]), texts.filter(bool)),
        texts,
        max_size=3,
    ),
    template=st.sampled_from([None, None, None, "Default", "Modern", "Minimal", "Professional", "Alert"]),
    body_template=st.one_of(st.none(), st.just("{Message}"), texts),
    subject=st.one_of(st.just(""), st.just(""), texts),
    subject_template=st.one_of(st.none(), st.just(""), st.just("{Username}{key}"), texts),
    is_html=st.booleans(),
    priority=st.sampled_from(Priority),
    attachments=st.lists(attachments, max_size=3).map(tuple),
    to=address_lists,
    cc=address_lists,
    bcc=hidden_addresses,
    reply_to=st.lists(addresses, max_size=5).map(tuple),
    headers=st.one_of(st.just({}), headers),
    auto_submitted=st.sampled_from([None, *AutoSubmitted]),
)
