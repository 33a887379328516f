"""Names that people give to projects, connections, tokens: compared without case, kept as they were written."""

import unicodedata

LONGEST_NAME = 100


def name_key(name: str) -> str:
    """The form in which two names are the same name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def name_fault(name: str) -> str | None:
    """A sentence that says why `name` is no name, or None."""
    if not name.strip():
        return "A name is required."
    if name != name.strip():
        return "A name must not begin or end with a space."
    if len(name) > LONGEST_NAME or len(name_key(name)) > LONGEST_NAME:
        return f"A name has at most {LONGEST_NAME} characters."
    if not name.isprintable() or "/" in name or "\\" in name:
        return "A name must not have slashes or control characters."
    if name in (".", ".."):
        return "A name must not be a dot or two."
    return None
