"""A strict reader of finished messages, written from the RFCs and sharing nothing with `app`.

Where a mail client would guess, it raises WireViolation: a message that it reads has one meaning. It knows what this
service sends and no more: no comments, no groups, no route addresses, one address or several but no obsolete syntax.
"""

import base64
import re
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import unquote_to_bytes

ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]"
ENCODED_WORD = re.compile(r"=\?utf-8\?([bq])\?([!->@-~]+)\?=")  # RFC 2047 section 2: no space and no "?" inside
TOKEN = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"
FIELD = re.compile(r"([!-9;-~]+): ?(.*)", re.DOTALL)
PARAMETER = re.compile(rf';[ \t]*({TOKEN})=(?:"([^"\\\r\n]*)"|({TOKEN}))')
SECTION = re.compile(r"([a-z0-9.-]+)(?:\*(0|[1-9][0-9]*))?(\*)?")
ADDRESS_TOKEN = re.compile(
    rf'[ \t]*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<dot_atom>{ATEXT}+(?:\.{ATEXT}+)*)|(?P<special>[<>@,:;]))[ \t]*'
)


class WireViolation(AssertionError):
    """The bytes are not what an RFC allows, or could be read in two ways."""


@dataclass(frozen=True)
class WirePart:
    """One part with its unfolded fields in order; `content` is decoded, `parts` is empty unless it is a multipart."""

    fields: list[tuple[str, str]]
    content_type: str
    parameters: dict[str, str]
    content: bytes = b""
    parts: list["WirePart"] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        (value,) = (value for field_name, value in self.fields if field_name.lower() == name.lower())
        return value

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.fields]

    def leaves(self) -> list["WirePart"]:
        return [leaf for part in self.parts for leaf in part.leaves()] if self.parts else [self]

    def file_name(self) -> str:
        """From Content-Disposition; the `name` of Content-Type must not say anything else."""
        disposition, parameters = read_parameters(self["Content-Disposition"])
        require(disposition == "attachment", f"disposition {disposition}")
        require(parameters["filename"] == self.parameters["name"], "two file names")
        return parameters["filename"]


def require(condition: bool, violation: str) -> None:
    if not condition:
        raise WireViolation(violation)


def read_message(content: bytes, *, allows_utf8: bool = False) -> WirePart:
    """The message in `content`. With `allows_utf8` header fields may be UTF-8 (RFC 6532), and nothing else."""
    require(content.endswith(b"\r\n"), "the last line has no end")
    lines = content.split(b"\r\n")[:-1]
    for line in lines:
        require(not re.search(rb"[\r\n\0]", line), "a bare CR, a bare LF or a NUL")
        require(len(line) <= 998, "a line of more than 998 octets")
    part = read_part(lines, allows_utf8=allows_utf8)
    require(part["MIME-Version"] == "1.0", "no MIME message")
    return part


def read_part(lines: list[bytes], *, allows_utf8: bool = False) -> WirePart:
    require(b"" in lines, "no blank line behind the header")
    blank = lines.index(b"")
    fields = read_fields(lines[:blank], allows_utf8=allows_utf8)
    names = [name.lower() for name, _ in fields]
    require(len(set(names)) == len(names), f"a field twice in {names}")
    values = {name.lower(): value for name, value in fields}
    content_type, parameters = read_parameters(values["content-type"])
    body = lines[blank + 1 :]
    require(all(line.isascii() for line in body), "an 8-bit body")
    if content_type.startswith("multipart/"):
        require("content-transfer-encoding" not in values, "an encoded multipart")
        parts = [read_part(part) for part in split_multipart(body, parameters["boundary"])]
        return WirePart(fields, content_type, parameters, parts=parts)
    require(not content_type.startswith("message/"), "a message in the message")
    decode = {"7bit": read_7bit, "quoted-printable": read_quoted_printable, "base64": read_base64}
    return WirePart(fields, content_type, parameters, decode[values["content-transfer-encoding"]](body))


def read_fields(lines: list[bytes], *, allows_utf8: bool) -> list[tuple[str, str]]:
    unfolded: list[str] = []
    for line in lines:
        text = line.decode("utf-8" if allows_utf8 else "ascii")
        require(not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", text), f"a control in {text!r}")
        if text.startswith((" ", "\t")):
            require(bool(unfolded) and not text.isspace(), f"nothing to continue or to continue with: {text!r}")
            unfolded[-1] += text
        else:
            unfolded.append(text)
    fields = []
    for text in unfolded:
        match = FIELD.fullmatch(text)
        require(match is not None, f"no field: {text!r}")
        assert match is not None
        fields.append((match[1], match[2].strip(" ")))
    return fields


def split_multipart(lines: list[bytes], boundary: str) -> list[list[bytes]]:
    """RFC 2046 section 5.1.1, without preamble and epilogue: both are places to hide something."""
    require(1 <= len(boundary) <= 70, "the boundary's length")
    delimiter, close = f"--{boundary}".encode(), f"--{boundary}--".encode()
    marks = [index for index, line in enumerate(lines) if line.startswith(delimiter)]
    require(len(marks) >= 2 and marks[0] == 0 and marks[-1] == len(lines) - 1, "text around the multipart")
    require(all(lines[index] == delimiter for index in marks[:-1]) and lines[-1] == close, "another delimiter")
    return [lines[start + 1 : end] for start, end in pairwise(marks)]


def read_7bit(lines: list[bytes]) -> bytes:
    return b"\r\n".join(lines)


def read_quoted_printable(lines: list[bytes]) -> bytes:
    """RFC 2045 section 6.7, rules 1 to 5, strictly."""
    decoded = bytearray()
    for number, line in enumerate(lines):
        require(len(line) <= 76, "a quoted-printable line of more than 76 characters")
        require(not line.endswith((b" ", b"\t")), "white space at the end of a quoted-printable line")
        is_soft = line.endswith(b"=")
        text = line[:-1] if is_soft else line
        require(re.fullmatch(rb"(?:[\t !-<>-~]|=[0-9A-F]{2})*", text) is not None, f"quoted-printable {line!r}")
        decoded += re.sub(rb"=([0-9A-F]{2})", lambda match: bytes([int(match[1], 16)]), text)
        if number + 1 < len(lines) and not is_soft:
            decoded += b"\r\n"
    return bytes(decoded)


def read_base64(lines: list[bytes]) -> bytes:
    require(all(len(line) <= 76 for line in lines), "a base64 line of more than 76 characters")
    require(all(len(line) == 76 for line in lines[:-1]), "an uneven base64 line")
    encoded = b"".join(lines)
    decoded = base64.b64decode(encoded, validate=True)
    require(base64.b64encode(decoded) == encoded, "base64 that is not canonical")
    return decoded


def read_parameters(value: str) -> tuple[str, dict[str, str]]:
    """RFC 2045 section 5.1 with RFC 2231: the value in front and its parameters, decoded."""
    match = re.match(rf"{TOKEN}(?:/{TOKEN})?", value)
    assert match is not None
    raw: dict[str, str] = {}
    position = match.end()
    while position < len(value):
        parameter = PARAMETER.match(value, position)
        require(parameter is not None, f"no parameter at {value[position:]!r}")
        assert parameter is not None
        require(parameter[1] not in raw, f"the parameter {parameter[1]} twice")
        raw[parameter[1]] = parameter[2] if parameter[3] is None else parameter[3]
        position = parameter.end()
    return match[0], join_sections(raw)


def join_sections(raw: dict[str, str]) -> dict[str, str]:
    sections: dict[str, list[str]] = {}
    extended: dict[str, bytes] = {}
    for key, value in raw.items():
        match = SECTION.fullmatch(key)
        require(match is not None, f"the parameter {key}")
        assert match is not None
        name, number, star = match.groups()
        if star is None:
            require(number is None and name not in sections, f"{name} in two ways")
            require("=?" not in value, "an encoded word in a parameter")
            sections[name] = [value]
            continue
        require(int(number or 0) == len(sections.setdefault(name, [])), f"the order of {name}")
        sections[name].append(value)
        if not extended.get(name):
            charset, language, value = value.split("'")
            require((charset, language) == ("utf-8", ""), f"the character set of {name}")
        octets = unquote_to_bytes(value)
        octets.decode("utf-8")  # each section by itself, as some clients decode them
        extended[name] = extended.get(name, b"") + octets
    return {
        name: extended[name].decode("utf-8") if name in extended else values[0] for name, values in sections.items()
    }


def read_text(value: str) -> str:
    """An unstructured value with its encoded words decoded (RFC 2047 section 6.1)."""
    words = value.split(" ")
    decoded = [decode_word(word) for word in words]
    text = ""
    for number, (word, is_encoded) in enumerate(decoded):
        follows_encoded = number > 0 and decoded[number - 1][1]
        text += word if number == 0 or (is_encoded and follows_encoded) else " " + word
    return text


def decode_word(word: str) -> tuple[str, bool]:
    match = ENCODED_WORD.fullmatch(word)
    if match is None:
        require("=?" not in word, f"something like an encoded word: {word!r}")
        require(word.isascii(), f"a word that is not ASCII: {word!r}")
        return word, False
    require(len(word) <= 75, "an encoded word of more than 75 characters")
    if match[1] == "b":
        octets = base64.b64decode(match[2], validate=True)
    else:
        require(re.fullmatch(r"(?:[A-Za-z0-9!*+/_-]|=[0-9A-F]{2})+", match[2]) is not None, f"Q encoding of {word}")
        octets = unquote_to_bytes(match[2].replace("_", " ").replace("=", "%"))
    return octets.decode("utf-8"), True


def read_addresses(value: str) -> list[tuple[str, str]]:
    """An address list (RFC 5322 section 3.4) as (display name, address) pairs."""
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(value):
        match = ADDRESS_TOKEN.match(value, position)
        require(match is not None, f"no address token at {value[position:]!r}")
        assert match is not None
        assert match.lastgroup is not None
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    mailboxes: list[list[tuple[str, str]]] = [[]]
    for token in tokens:
        if token == ("special", ","):
            mailboxes.append([])
        else:
            mailboxes[-1].append(token)
    return [read_mailbox(mailbox) for mailbox in mailboxes]


def read_mailbox(tokens: list[tuple[str, str]]) -> tuple[str, str]:
    kinds = [kind if kind != "special" else text for kind, text in tokens]
    if kinds == ["dot_atom", "@", "dot_atom"]:
        return "", tokens[0][1] + "@" + tokens[2][1]
    require(kinds[-5:] == ["<", "dot_atom", "@", "dot_atom", ">"], f"no mailbox: {tokens}")
    phrase = tokens[:-5]
    address = tokens[-4][1] + "@" + tokens[-2][1]
    if kinds[:-5] == ["quoted"]:
        require("=?" not in phrase[0][1], "an encoded word in a quoted string")
        return re.sub(r"\\(.)", r"\1", phrase[0][1][1:-1]), address
    require(all(kind == "dot_atom" for kind, _ in phrase), f"no display name: {phrase}")
    return read_text(" ".join(text for _, text in phrase)), address
