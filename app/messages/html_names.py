"""The HTML elements, attributes and style properties that mail may use, and what their nesting and layout mean.

Used by `well_formed`, `sanitize` and `text_alternative`; the elements are those of the HTML standard.
"""


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


ALLOWED_TAGS = _names(
    "a abbr address article aside b bdi bdo blockquote br caption center cite code col colgroup dd del dfn div dl dt"
    " em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i ins kbd li main mark nav ol p pre q s samp section"
    " small span strike strong sub sup table tbody td tfoot th thead time tr tt u ul var wbr"
)

VOID_TAGS = _names("br hr wbr col")

DROPPED_WITH_CONTENT = _names("script style")
"""Elements whose content is no text that anybody should read."""

HEAD_TAGS = _names("html head title meta link base script style")
"""What may stand in front of a document's body (HTML, section 13.2.6.4.4); a title there is not shown."""

PARAGRAPH_ENDING = _names(
    "address article aside blockquote center dl div figure figcaption footer h1 h2 h3 h4 h5 h6 header hr main nav ol p"
    " pre section table ul"
)
"""Where one of these starts, an open `<p>` ends by itself."""

LINE_TAGS = _names("address article aside caption center dd div dt figcaption footer header li main nav section tr")
"""What stands on a line of its own in a text."""

PARAGRAPH_TAGS = _names("blockquote dl figure h1 h2 h3 h4 h5 h6 ol p pre table ul")
"""What stands between blank lines in a text."""

LINK_SCHEMES = _names("http https mailto tel")

ATTRIBUTES = {
    "*": _names("style dir lang title align valign width height bgcolor role"),
    "a": _names("href"),
    "font": _names("color face size"),
    "col": _names("span"),
    "colgroup": _names("span"),
    "ol": _names("start type"),
    "table": _names("border cellpadding cellspacing"),
    "td": _names("colspan rowspan nowrap"),
    "th": _names("colspan rowspan nowrap scope"),
    "ul": _names("type"),
}

ATTRIBUTE_NAMES = frozenset().union(*ATTRIBUTES.values())

STYLE_PROPERTIES = _names(
    "background background-color border border-bottom border-bottom-color border-bottom-style border-bottom-width"
    " border-collapse border-color border-left border-left-color border-left-style border-left-width border-radius"
    " border-right border-right-color border-right-style border-right-width border-spacing border-style border-top"
    " border-top-color border-top-style border-top-width border-width box-sizing color direction display font"
    " font-family font-size font-style font-variant font-weight height letter-spacing line-height list-style-type"
    " margin margin-bottom margin-left margin-right margin-top max-height max-width min-height min-width padding"
    " padding-bottom padding-left padding-right padding-top table-layout text-align text-decoration text-indent"
    " text-transform unicode-bidi vertical-align white-space width word-break word-spacing word-wrap overflow-wrap"
)
"""What a mail is laid out with. Nothing here leaves its place on the page (`position`) or names only an image."""
