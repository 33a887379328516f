"""The text of a client's HTML reads like something that a person wrote."""

import pytest
from hypothesis import given

from app.messages.sanitize import sanitized
from app.messages.text_alternative import text_alternative

from .composing import composed, text_of
from .hostile import texts


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("Hello", "Hello"),
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<div>One</div><div>Two</div>", "One\nTwo"),
        ("One<br>Two<br><br>Three", "One\nTwo\n\nThree"),
        ("<h1>Title</h1>Text", "Title\n\nText"),
        ("One\n  two\t three", "One two three"),
        ("<b>One</b> <i>two</i>, three<b>four</b>", "One two, threefour"),
        ("a &amp; b &lt;c&gt; &euro;&nbsp;5", "a & b <c> € 5"),
        ('<a href="https://x.test/a?b=1&amp;c=2">our page</a>.', "our page (https://x.test/a?b=1&c=2)."),
        ('<a href="https://x.test">https://x.test</a>', "https://x.test"),
        ('<a href="mailto:ada@x.test">ada@x.test</a>', "ada@x.test"),
        ('<a href="mailto:ada@x.test">write</a>', "write (mailto:ada@x.test)"),
        ('<a href="tel:+4912">+4912</a>', "+4912"),
        ('See <a href="https://x.test"></a>!', "See (https://x.test)!"),
        ('<a href="javascript:alert(1)">x</a>', "x"),
        ("<a>no link</a>", "no link"),
        ("<ul><li>One</li><li>Two</li></ul>", "- One\n- Two"),
        ("<ol><li>One<li>Two</ol>", "1. One\n2. Two"),
        ('<ol start="9"><li>One<li>Two</ol>', "9. One\n10. Two"),
        ('<ol start="x"><li>One</ol>', "1. One"),
        ("<p>A</p><ul><li>One<ul><li>Deep</li></ul></li><li>Two</li></ul><p>B</p>", "A\n\n- One\n  - Deep\n- Two\n\nB"),
        ("<li>alone", "- alone"),
        ("<table><tr><th>Name</th><td>Ada</td></tr><tr><th>Age</th><td>36</td></tr></table>", "Name Ada\nAge 36"),
        ("A<hr>B", "A\n---\nB"),
        ("<pre>a\n  b</pre>c", "a\n  b\n\nc"),
        ("<style>p{}</style><script>x</script><title>t</title>Text<!-- c -->", "Text"),
        ("<dl><dt>a<dd>b</dl>", "a\nb"),
        ("<p> </p><p></p><p>x</p><div><div><div></div></div></div>", "x"),
        ("", ""),
    ],
)
def test_html_as_text(html: str, text: str) -> None:
    assert text_alternative(sanitized(html)) == text + "\n"


@given(texts)
def test_any_html_has_a_text(html: str) -> None:
    text = text_alternative(sanitized(html))
    assert text.endswith("\n")
    assert "\n\n\n" not in text


def test_a_value_that_looks_like_html_is_in_the_text_as_it_was_typed() -> None:
    part = composed(message="<b>1 < 2</b>\n&amp;", body_template="<p>{Message}</p>", is_html=True)
    assert text_of(part) == "<b>1 < 2</b>\n&amp;\n"
