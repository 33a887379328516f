"""Content types of attachments (RFC 2045, section 5.1), as the caller says or as the file's name tells.

Used by `attachments`, which checks them, and by `mime`, which writes them. A parameter is read here and written anew,
so nothing in it is passed on as it came.

The table is fixed here instead of taken from `mimetypes`, which reads the machine's files and changes with Python.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Self

from app.messages.headers import LONGEST_LINE, parameter

UNKNOWN = "application/octet-stream"

_RESTRICTED_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_TYPE_AND_SUBTYPE = re.compile(f"{_RESTRICTED_NAME}/{_RESTRICTED_NAME}")
_WORD = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]++"
"""A token (RFC 2045, section 5.1)."""
# Without * ' %, which mean something else in a name (RFC 2231, section 7) and to some parsers in a value, too.
_PLAIN_WORD = r"[!#$&+.^_`{|}~0-9A-Za-z-]++"
_QUOTED = r'"((?:[ !#-\[\]-~]++|\\[ -~])*+)"'
_PARAMETER = re.compile(rf"[ \t]*+;[ \t]*+(?:({_PLAIN_WORD})[ \t]*+=[ \t]*+(?:{_QUOTED}|({_WORD})))?+[ \t]*+")
_QUOTED_PAIR = re.compile(r"\\(.)")
MOST_PARAMETERS = 10
LONGEST = 1000
"""Characters of a content type that a caller gives; written anew, with quotes and a character set, it may be longer."""

_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."

_BY_EXTENSION = {
    "7z": "application/x-7z-compressed",
    "aac": "audio/aac",
    "avi": "video/x-msvideo",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "bz2": "application/x-bzip2",
    "css": "text/css",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": f"{_OFFICE}wordprocessingml.document",
    "epub": "application/epub+zip",
    "flac": "audio/flac",
    "gif": "image/gif",
    "gz": "application/gzip",
    "heic": "image/heic",
    "htm": "text/html",
    "html": "text/html",
    "ico": "image/vnd.microsoft.icon",
    "ics": "text/calendar",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "log": "text/plain",
    "m4a": "audio/mp4",
    "md": "text/markdown",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "odp": f"{_OPEN_DOCUMENT}presentation",
    "ods": f"{_OPEN_DOCUMENT}spreadsheet",
    "odt": f"{_OPEN_DOCUMENT}text",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": f"{_OFFICE}presentationml.presentation",
    "rar": "application/vnd.rar",
    "rtf": "application/rtf",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "vcf": "text/vcard",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "xls": "application/vnd.ms-excel",
    "xlsx": f"{_OFFICE}spreadsheetml.sheet",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
}


@dataclass(frozen=True, slots=True)
class ContentType:
    """`type/subtype` in lower case, and its parameters: names in lower case, values without quotes."""

    media_type: str
    parameters: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Self:
        """The content type in `text`. Raises ValueError for anything but the names, tokens and quoted strings of RFCs.

        `multipart/*` and `message/*` would change the structure of the mail around them and become `UNKNOWN`. A `name`
        is left out: the name of the file is another property.
        """
        match = _TYPE_AND_SUBTYPE.match(text)
        if match is None:
            raise ValueError("not a content type")
        media_type, position = match[0].lower(), match.end()
        parameters: dict[str, str] = {}
        while position < len(text) and (found := _PARAMETER.match(text, position)) is not None:
            position = found.end()
            name, quoted, token = found.groups()
            if name is None:
                continue
            value = token if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
            # Some parsers decode an encoded word wherever it is.
            if name.lower() in parameters or "=?" in value:
                raise ValueError("a parameter given twice, or an encoded word in it")
            parameters[name.lower()] = value
        if text[position:].strip(" \t"):
            raise ValueError("not parameters of a content type")
        if media_type.startswith(("multipart/", "message/")):
            return cls(UNKNOWN)
        return cls(media_type, {name: value for name, value in parameters.items() if name != "name"})

    def with_charset(self, charset: str) -> Self:
        """The same type with this character set."""
        return replace(self, parameters=self.parameters | {"charset": charset})

    def field(self) -> str:
        """The field Content-Type without its line end, in lines of at most 77, so that a `;` may follow.

        A token stands as it is, because some calendars look for `method=REQUEST` in these letters.
        """
        field = f"Content-Type: {self.media_type}"
        for name, value in self.parameters.items():
            token = f" {name}={value}"
            if re.fullmatch(_PLAIN_WORD, value) is None or len(token) >= LONGEST_LINE:
                field += parameter(name, value)
            elif len(field) - field.rfind("\n") + len(token) < LONGEST_LINE:
                field += f";{token}"
            else:
                field += f";\r\n{token}"
        return field

    def __str__(self) -> str:
        """In one line, as `read` takes it."""
        quoted = ((name, re.sub(r'(["\\])', r"\\\1", value)) for name, value in self.parameters.items())
        return self.media_type + "".join(f'; {name}="{value}"' for name, value in quoted)


def guessed_content_type(file_name: str) -> str:
    """The content type that the last extension of `file_name` stands for, or `UNKNOWN`."""
    _, dot, extension = file_name.rpartition(".")
    return _BY_EXTENSION.get(extension.lower(), UNKNOWN) if dot else UNKNOWN
