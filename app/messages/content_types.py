"""Which content type an attachment has (RFC 6838), as its caller says or as its name tells. Used by `attachments`.

The table is fixed here instead of taken from `mimetypes`, which reads the machine's files and changes with Python.
"""

import re

UNKNOWN = "application/octet-stream"

_RESTRICTED_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_TYPE_AND_SUBTYPE = re.compile(f"{_RESTRICTED_NAME}/{_RESTRICTED_NAME}")

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


def checked_content_type(value: str) -> str:
    """`value` in lower case; raises ValueError unless it is `type/subtype` of RFC 6838 names, without parameters.

    `multipart/*` and `message/*` would change the structure of the mail around them and become `UNKNOWN`.
    """
    if _TYPE_AND_SUBTYPE.fullmatch(value) is None:
        raise ValueError("not a content type")
    value = value.lower()
    return UNKNOWN if value.startswith(("multipart/", "message/")) else value


def guessed_content_type(file_name: str) -> str:
    """The content type that the last extension of `file_name` stands for, or `UNKNOWN`."""
    _, dot, extension = file_name.rpartition(".")
    return _BY_EXTENSION.get(extension.lower(), UNKNOWN) if dot else UNKNOWN
