"""A client's HTML as it may be mailed for somebody nobody knows. Used by `rendering` and `text_alternative`.

No scripts, forms, frames, images or style sheets; links only where a click is safe; inline styles without anything that
loads. Placeholders are filled before, so that a value cannot turn a harmless link into another one.
"""

import re

import nh3

from app.messages.html_names import ALLOWED_TAGS, ATTRIBUTES, LINK_SCHEMES, STYLE_PROPERTIES
from app.messages.well_formed import well_formed

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_HARMLESS_FUNCTION = re.compile(r"(?<![\w-])(?:rgb|rgba|hsl|hsla|calc|min|max|clamp)\(", re.IGNORECASE)


def sanitized(html: str) -> str:
    """`html` as a fragment that is safe to mail, in time and size that grow no faster than `html`.

    Its tags are balanced and its character references are whole, whatever came in.
    """
    return _CLEANER.clean(well_formed(_LONE_SURROGATE.sub("\ufffd", html)))


def document(fragment: str) -> str:
    """`fragment` as a whole document, which tells mail clients the character set and the rules to lay it out by."""
    return (
        '<!DOCTYPE html>\n<html>\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>\n'
        f"<body>\n{fragment}\n</body>\n</html>\n"
    )


def _filtered_attribute(_tag: str, attribute: str, value: str) -> str | None:
    return _harmless_style(value) if attribute == "style" else value


def _harmless_style(style: str) -> str | None:
    """The declarations of `style` that load nothing.

    Everything that loads is a function (`url()`, `image-set()`), so only the functions of colours and lengths stay; and
    without escapes and comments no function can hide. `nh3` asks this before it reads the style itself.
    """
    if "\\" in style or "/*" in style:
        return None
    if "(" not in style:
        return style
    return ";".join(
        declaration
        for declaration in style.split(";")
        if declaration.count("(") == len(_HARMLESS_FUNCTION.findall(declaration))
    )


_CLEANER = nh3.Cleaner(
    tags=ALLOWED_TAGS,
    attributes=ATTRIBUTES,
    attribute_filter=_filtered_attribute,
    url_schemes=LINK_SCHEMES,
    url_relative="deny",
    link_rel=None,
    filter_style_properties=STYLE_PROPERTIES,
)
