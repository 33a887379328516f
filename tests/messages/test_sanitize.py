"""A stranger's HTML: nothing in it acts, loads or hides, and no markup makes it slow or large."""

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages.sanitize import document, sanitized
from app.messages.text_alternative import text_alternative
from app.messages.well_formed import MAX_DEPTH, well_formed

from .composing import composed, html_of
from .hostile import FRAGMENTS
from .outline import Outline, assert_harmless

VECTORS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//x.test/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script",
    "<script/src=//x.test>",
    "<img src=x onerror=alert(1)>",
    '<img """><script>alert(1)</script>">',
    "<img src='https://x.test/pixel.gif'>",
    "<img srcset='https://x.test/1x'>",
    "<picture><source srcset=//x.test></picture>",
    "<input type=image src=//x.test>",
    "<form action=//x.test><button formaction=//x.test>x</button></form>",
    "<iframe src=//x.test></iframe>",
    "<frameset><frame src=//x.test></frameset>",
    "<object data=//x.test></object><embed src=//x.test><applet code=x>",
    "<link rel=stylesheet href=//x.test><base href=//x.test>",
    "<meta http-equiv=refresh content='0;url=//x.test'>",
    "<style>@import '//x.test'; body{background:url(//x.test)}</style>",
    "<body background=//x.test onload=alert(1)>",
    "<table background=//x.test><tr><td background=//x.test>x</table>",
    "<video poster=//x.test src=//x.test></video><audio src=//x.test>",
    "<svg onload=alert(1)><a xlink:href=javascript:alert(1)>x</a></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<template><script>alert(1)</script></template>",
    '<textarea><img title="</textarea><img src=x onerror=alert(1)>">',
    '<title><img title="</title><img src=x onerror=alert(1)>">',
    '<xmp><p title="</xmp><img src=x onerror=alert(1)>">',
    "<!--><img src=x onerror=alert(1)>-->",
    "<!--[if mso]><img src=//x.test><![endif]-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml <img src=x onerror=alert(1)>?>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href=" &#14; javascript:alert(1)">x</a>',
    '<a href="java\tscript:alert(1)">x</a>',
    '<a href="java&#10;script:alert(1)">x</a>',
    '<a href="&#x6A;avascript&colon;alert(1)">x</a>',
    '<a href="JaVaScRiPt:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="vbscript:x">x</a><a href="file:///etc/passwd">x</a><a href="cid:1">x</a>',
    '<a href="//x.test">x</a><a href="/x">x</a><a href="x">x</a><a href="">x</a>',
    "<a onclick=alert(1) href=https://x.test>x</a>",
    '<p onmouseover="alert(1)" OnClick=alert(1) style=x>x</p>',
    "<p/onclick=alert(1)/x>x</p>",
    '<p style="background:url(//x.test)">x</p>',
    '<p style="background:u\\72l(//x.test)">x</p>',
    '<p style="background:ur/**/l(//x.test)">x</p>',
    '<p style="background:URL (//x.test)">x</p>',
    '<p style="background-image:url(//x.test)">x</p>',
    "<p style=\"background:image-set('//x.test' 1x)\">x</p>",
    '<p style="list-style:url(//x.test)">x</p>',
    '<p style="width:expression(alert(1))">x</p>',
    '<p style="behavior:url(x.htc);-moz-binding:url(x)">x</p>',
    '<p style="position:fixed;top:0;left:0;width:100%">x</p>',
    '<p style="color:red;background:url(//x.test;color:rgb(1,2,3)">x</p>',
    '<p style="color:rgb(1,2,3);background:rgb(url(//x.test))">x</p>',
    '<p style="background:myrgb(1);background:-rgb(1)">x</p>',
    "<p style='font-family:\"&lt;/style&gt;<img src=x>\"'>x</p>",
    "<p style=\"@import '//x.test'\">x</p>",
    "<isindex action=//x.test><keygen><marquee onstart=alert(1)>",
    "<a href='https://x.test' target=_blank ping=//x.test>x</a><q cite=//x.test>x</q>",
]


@pytest.mark.parametrize("html", VECTORS)
def test_a_stranger_s_html_is_harmless(html: str) -> None:
    assert_harmless(sanitized(html))
    assert_harmless(html_of(composed(body_template=html, is_html=True)))


@pytest.mark.parametrize("html", VECTORS)
def test_sanitised_html_stays_as_it_is_when_it_is_read_again(html: str) -> None:
    """Mutation: what a second parser makes of the output has to be what the first one meant."""
    once = sanitized(html)
    assert sanitized(once) == once


@given(st.lists(st.sampled_from([*VECTORS, *FRAGMENTS]), max_size=6).map("".join))
def test_any_mixture_is_harmless(html: str) -> None:
    assert_harmless(sanitized(html))


@given(st.text(alphabet="<>/\"'= abpstdrl!-&;#x\n", max_size=60))
def test_any_scrap_of_markup_is_harmless_and_balanced(html: str) -> None:
    assert_harmless(sanitized(html))
    outline = Outline(well_formed(html))
    opened = sum(tag not in ("br", "hr", "wbr", "col") for tag, _ in outline.tags)
    assert well_formed(html).count("</") == opened


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<h1>Hi</h1><p>One <b>two</b> <i>three</i></p>", "<h1>Hi</h1><p>One <b>two</b> <i>three</i></p>"),
        (
            '<a href="https://x.test/?a=1&amp;b=2" target="_blank">x</a>',
            '<a href="https://x.test/?a=1&amp;b=2">x</a>',
        ),
        (
            '<a href="mailto:a@x.test">a</a><a href="tel:+1">b</a>',
            '<a href="mailto:a@x.test">a</a><a href="tel:+1">b</a>',
        ),
        (
            '<td style="color: #333; padding: 8px 0; background: rgb(1, 2, 3)">x</td>',
            "x",
        ),
        (
            '<table width="600" cellpadding="0" bgcolor="#fff"><tr><td align="left" colspan="2">x</td></tr></table>',
            '<table width="600" cellpadding="0" bgcolor="#fff"><tbody><tr><td align="left" colspan="2">x</td></tr>'
            "</tbody></table>",
        ),
        (
            '<p style="color: #333; background: rgb(1, 2, 3); margin: 0 auto">x</p>',
            '<p style="color:#333;background:rgb(1, 2, 3);margin:0 auto">x</p>',
        ),
        (
            "<p style=\"font-family: 'Segoe UI', Arial\">x</p>",
            '<p style="font-family:&quot;Segoe UI&quot; , Arial">x</p>',
        ),
        ("<html><head><title>t</title></head><body class=x><p id=y>x</body></html>", "<p>x</p>"),
        ("a < b & c > d &lt;e&gt;", "a &lt; b &amp; c &gt; d &lt;e&gt;"),
        ('<font color=red size="2">x</font>', '<font color="red" size="2">x</font>'),
    ],
)
def test_what_mail_is_written_with_stays(html: str, expected: str) -> None:
    assert sanitized(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>"),
        ("<p>a<p>b<div>c", "<p>a</p><p>b</p><div>c</div>"),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"),
        ("<dl><dt>a<dd>b<dt>c</dl>", "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl>"),
        ("<table><tr><td>a<td>b<tr><td>c", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"),
        ("<table><td>a<table><td>b</table>c", "<table><tr><td>a<table><tr><td>b</td></tr></table>c</td></tr></table>"),
        (
            "<table><caption>a<thead><th>b<tbody><td>c</table>",
            "<table><caption>a</caption><thead><tr><th>b</th></tr></thead><tbody><tr><td>c</td></tr></tbody></table>",
        ),
        ("<table><b>a<tr><td>b</table>", "<table>a<tr><td>b</td></tr></table>"),
        ("<td>a</td><tr>b", "ab"),
        ("<div><table><tr><td>a</div>b", "<div><table><tr><td>ab</td></tr></table></div>"),
        ("<b><i>a</b>b</i>", "<b><i>a</i></b>b"),
        ("<a href=x>a<a href=y>b", '<a href="x">a</a><a href="y">b</a>'),
        ("</p></b>a<br/>b</br>", "a<br>b"),
        ("<p title='a\"b' lang=de LANG=en data-x=1 onclick=y>", '<p title="a&quot;b" lang="de"></p>'),
        ("<p title=a>b</p", '<p title="a">b</p>'),
        ("a<!-- b <b> -->c<!doctype x><?y?>d<!---->e<!-->f", "acdef"),
        ("a<style>b</STYLE >c<script>d</scripts></script x>e", "ace"),
        ("1 < 2, 3 <4> <5", "1 &lt; 2, 3 &lt;4> &lt;5"),
    ],
)
def test_tags_are_balanced(html: str, expected: str) -> None:
    assert well_formed(html) == expected


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("one <svg onload=alert(1)> two", "one two"),
        ("one <svg><text>two</text></svg> three", "one two three"),
        ("one <svg><script>x()</script><style>y{}</style> two", "one two"),
        ("one <math><mtext>two</mtext> three", "one two three"),
        ("one <template>two", "one two"),
        ("one <noscript>two</noscript> three", "one two three"),
        ("one <iframe src=//x.test>two</iframe> three", "one two three"),
        ("one <iframe src=//x.test> two", "one two"),
        ("one <object data=x>two <video>three <audio>four <applet>five", "one two three four five"),
        ("one <xmp>two <b>three</b>", "one two three"),
        ("one <plaintext>two", "one two"),
        ("one <textarea>two</textarea> three <textarea>four", "one two three four"),
        ("one <title>two</title> three <title>four", "one two three four"),
        ("<title>one", "one"),
        ("<head><title>one", "one"),
        ("one <select><option>two</select> <select><option>three", "one two three"),
        ("one <noembed>two <noframes>three", "one two three"),
        ("one <!-- two", "one two"),
        ("one <! two", "one <! two"),
        ("one <? two", "one <? two"),
        ("one <!--> two", "one two"),
        ("one <script>two()", "one two()"),
        ("one <style>two", "one two"),
        ("one <script>x()</script two", "one two"),
        ("one <script>x()</scripts> y()</SCRIPT\n> two", "one two"),
        ("one <b two", "one <b two"),
        ("one <b two <i>three</i>", "one <b two three"),
        ("one <svg two <three@example.com> four", "one <svg two <three@example.com> four"),
        ("one < b and <three> four", "one < b and four"),
        ('one <a href="https://x.test>two</a> three', "one two (https://x.test) three"),
        ("one <p title='it>two</p> three", "one\n\ntwo\n\nthree"),
        ("one <img src=x onerror='alert(1)> two", "one two"),
        ('one <img src="data:image/png;base64,' + "A" * 9000 + '"> two', "one two"),
        ("Anna <anna@example.com> or <https://x.test/a> said", "Anna <anna@example.com> or <https://x.test/a> said"),
        ("one </ two> three <scr", "one </ two> three"),
    ],
)
def test_of_everything_but_scripts_and_styles_only_the_tags_go(html: str, text: str) -> None:
    assert text_alternative(sanitized(html)) == text + "\n"
    assert_harmless(sanitized(html))


_HIDDEN = ["<script>hidden()</script>", "<STYLE type=x>hidden{}</STYLE >", "<!-- hidden -->", "<!doctype hidden>"]
_TAGS = [
    f"<{slash}{name}{attributes}>"
    for name in (
        *("svg", "math", "template", "noscript", "iframe", "object", "video", "xmp", "plaintext", "textarea", "select"),
        *(
            "title",
            "noembed",
            "form",
            "x-y",
            "p",
            "b",
            "a",
            "table",
            "tr",
            "td",
            "caption",
            "colgroup",
            "ul",
            "li",
            "div",
        ),
    )
    for slash in ("", "/")
    for attributes in ("", " onload=alert(1)", "/")
]
_BROKEN = [
    '<a href="x>',
    "<p title='x>",
    "</script>",
    "</style>",
    "-->",
    "</",
    "<",
    ">",
    "&",
    "<3",
    "<foo@x.test>",
]
_PIECES = st.one_of(st.sampled_from(_HIDDEN), st.sampled_from(_TAGS), st.sampled_from(_BROKEN))


@given(st.lists(_PIECES, unique=True, max_size=12))
def test_every_word_outside_of_scripts_and_styles_survives(pieces: list[str]) -> None:
    words = [f"word{number}" for number in range(len(pieces) + 1)]
    # A word in front, so that a title is not the document's.
    html = words[0] + "".join(f" {piece} {word}" for piece, word in zip(pieces, words[1:], strict=True))
    fragment = sanitized(html)
    assert_harmless(fragment)
    assert sorted(re.findall(r"word\d+", "".join(Text(fragment).texts))) == sorted(words)
    assert sorted(re.findall(r"word\d+", text_alternative(fragment))) == sorted(words)
    assert "hidden" not in fragment


class Text(HTMLParser):
    """The text between the tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("tag", ["div", "b", "table", "ul", "blockquote", "span", "font"])
def test_nesting_is_bounded(tag: str) -> None:
    assert len(Outline(well_formed(f"<{tag}>" * 1000)).tags) <= MAX_DEPTH


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 40_000,
        "<p>" + "".join(f"<b title={number}>" for number in range(10_000)) + "<p>x" * 10_000,
        ("<p>" + "".join(f"<b title={number}>" for number in range(63)) + "<p>x") * 200,
        "<table><caption>" + "".join(f"<b title={number}>" for number in range(60)) + "<tr>x" * 40_000,
        "<table>" + "<b>" * 100 + "<tr>x" * 40_000,
        "<ol>" * 30_000 + "<li>x" * 15_000,
        '<a "' * 50_000,
        "<p " + "a =  " * 40_000 + ">",
        "<p " + " ".join(f"a{number}=1" for number in range(20_000)) + ">",
        "<!--" * 50_000,
        "<script>" * 25_000,
        "<style>" * 25_000 + ">",
        "</" * 100_000,
        "<!" * 100_000,
        "<!" * 100_000 + ">",
        "<a " * 100_000,
        '<a ">"' * 40_001,
        """<a '">""" * 40_001,
        "<a title='" * 40_001 + ">",
        "<script></script " * 20_000,
        "&#" * 100_000,
        "<p style='" + "a:(" * 60_000 + "'>",
    ],
    ids=lambda html: html[:20],
)
def test_broken_markup_costs_no_more_than_its_length(html: str) -> None:
    start = time.process_time()
    fragment = sanitized(html)
    text = text_alternative(fragment)
    # A few tenths of a second; a parser that repairs these takes from many seconds to forever.
    assert time.process_time() - start < 4
    assert len(fragment) + len(text) < 8 * len(html)


def test_a_lone_surrogate_does_not_stop_it() -> None:
    assert sanitized("<p>a\ud800b</p>") == "<p>a\ufffdb</p>"


def test_a_document_names_its_character_set() -> None:
    assert document("<p>x</p>").startswith('<!DOCTYPE html>\n<html>\n<head><meta charset="utf-8">')
