"""The designed bodies: what callers wrote stays data, and the frame around it keeps what mail clients need."""

import re
from datetime import UTC, datetime, timedelta, timezone
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import TemplateSyntaxError, UndefinedError

from app.messages.templates import Given, RenderedTemplate, Templates
from app.model.email import Priority

DIRECTORY = Path(__file__).parents[2] / "templates" / "email"
TEMPLATES = Templates(DIRECTORY)
EVERY = (*TEMPLATES.names, "built-in")
WITH_HTML = tuple(name for name in EVERY if name != "Default")
HOSTILE = (
    "<script>alert(1)</script> \"quoted\" 'single' & {{7*7}} {% raw %} {#gone#} {Email} {0.__class__} %(Email)s </td>"
)
ESCAPED = (
    "&lt;script&gt;alert(1)&lt;/script&gt; &#34;quoted&#34; &#39;single&#39; &amp; {{7*7}} {% raw %} {#gone#} {Email} "
    "{0.__class__} %(Email)s &lt;/td&gt;"
)


def given(
    *,
    email: str = "ada@example.test",
    username: str = "Ada Lovelace",
    message: str = "Good morning",
    custom_fields: dict[str, str] | None = None,
    priority: Priority = Priority.NORMAL,
    received_at: datetime = datetime(2026, 1, 7, 12, 34, 56, tzinfo=UTC),
) -> Given:
    return Given(
        email=email,
        username=username,
        message=message,
        custom_fields=custom_fields or {},
        priority=priority,
        received_at=received_at,
    )


def rendered(name: str, values: Given, templates: Templates = TEMPLATES) -> RenderedTemplate:
    return templates.render_builtin(**values) if name == "built-in" else templates.render(name, **values)


def html_of(name: str, values: Given) -> str:
    html = rendered(name, values).html
    assert html is not None
    return html


class Outline(HTMLParser):
    """Every start tag with its attributes, and the text that a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.seen = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.seen += data


def seen_parts(message: RenderedTemplate) -> list[str]:
    return [message.text] if message.html is None else [message.text, Outline(message.html).seen]


def test_templates_are_listed_as_the_specification_lists_them() -> None:
    assert TEMPLATES.names == ("Default", "Modern", "Minimal", "Professional", "Alert")


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("Default", "Message from {}"),
        ("Modern", "✉️ New Message from {}"),
        ("Minimal", "Contact: {}"),
        ("Professional", "New Contact Form Submission - {}"),
        ("Alert", "Important message from {}"),
        ("built-in", "Message from {}"),
    ],
)
def test_subject_names_the_sender_or_else_the_address(name: str, subject: str) -> None:
    assert rendered(name, given()).subject == subject.format("Ada Lovelace")
    for nothing_to_see in ("", "  \t", "\u200b\u2060"):
        assert rendered(name, given(username=nothing_to_see)).subject == subject.format("ada@example.test")


def test_default_is_plain_text_only_and_every_other_has_both_parts() -> None:
    assert [name for name in EVERY if rendered(name, given()).html is None] == ["Default"]


@pytest.mark.parametrize("name", WITH_HTML)
def test_hostile_values_are_escaped_in_html_and_change_no_tag(name: str) -> None:
    fields = {HOSTILE: HOSTILE}
    hostile = html_of(name, given(email=HOSTILE, username=HOSTILE, message=HOSTILE, custom_fields=fields))
    harmless = html_of(name, given(custom_fields={"Company": "Analytical Engines"}))
    assert hostile.count(ESCAPED) >= 5
    assert "<script" not in hostile
    assert [tag for tag, _ in Outline(hostile).tags] == [tag for tag, _ in Outline(harmless).tags]
    assert HOSTILE in Outline(hostile).seen


@pytest.mark.parametrize("name", EVERY)
def test_text_shows_every_value_as_it_was_typed(name: str) -> None:
    typed = f"{HOSTILE}\r\n  indented\n.\n\nlong {'x' * 2000}"
    text = rendered(name, given(email="o'hara&sons@example.test", message=typed, custom_fields={HOSTILE: typed})).text
    assert text.count(typed) == 2
    assert text.count(HOSTILE) >= 3
    assert "Ada Lovelace" in text
    assert "o'hara&sons@example.test" in text


@pytest.mark.parametrize("name", WITH_HTML)
def test_line_breaks_of_every_kind_become_br_after_escaping(name: str) -> None:
    html = html_of(name, given(message="one\ntwo\r\nthree\rfour\n\nfive<br>six", custom_fields={"Address": "a\nb"}))
    assert "one<br>two<br>three<br>four<br><br>five&lt;br&gt;six" in html
    assert "a<br>b" in html


@pytest.mark.parametrize("name", EVERY)
def test_custom_fields_are_shown_in_their_order_when_there_are_any(name: str) -> None:
    fields = {f"Label {number}": f"Value {number}" for number in range(12)}
    with_fields, without = rendered(name, given(custom_fields=fields)), rendered(name, given())
    for part in (with_fields.text, with_fields.html or with_fields.text):
        places = [part.index(word) for label, value in fields.items() for word in (label, value)]
        assert places == sorted(places)
    assert len(with_fields.text.splitlines()) >= len(without.text.splitlines()) + 12
    assert without.html is None or len(Outline(without.html).tags) < len(Outline(with_fields.html or "").tags)


@pytest.mark.parametrize("name", EVERY)
def test_reader_learns_who_wrote_and_whom_a_reply_answers(name: str) -> None:
    both = rendered(name, given())
    nameless = rendered(name, given(username=""))
    for part in seen_parts(both):
        assert "ada@example.test" in part
        assert "Reply to this email to answer Ada Lovelace" in part
        assert "7 January 2026, 12:34 UTC" in part
    for part in seen_parts(nameless):
        assert "Reply to this email to answer ada@example.test." in part
        assert "<>" not in part


def test_date_received_is_told_in_utc_whatever_its_zone() -> None:
    in_tokyo = datetime(2026, 1, 1, 0, 5, tzinfo=timezone(timedelta(hours=9)))
    assert "31 December 2025, 15:05 UTC" in html_of("Professional", given(received_at=in_tokyo))


@pytest.mark.parametrize("priority", Priority)
def test_alert_leads_with_the_priority_on_red(priority: Priority) -> None:
    message = rendered("Alert", given(priority=priority))
    assert message.html is not None
    banner = message.html[message.html.index('<td class="red') :].partition("</td>")[0]
    assert f"{priority.value} priority" in banner
    assert "background-color:#b3201f" in banner
    assert message.text.splitlines()[1].startswith(f"*** {priority.value.upper()} PRIORITY")


def test_professional_is_a_table_with_a_heading_for_every_row() -> None:
    html = html_of("Professional", given(custom_fields={"Company": "Analytical Engines"}, priority=Priority.HIGH))
    rows = re.findall(r'<tr><th [^>]*scope="row"[^>]*>(.*?)</th><td [^>]*>(.*?)</td></tr>', html)
    assert [(heading, re.sub("<.*?>", "", value)) for heading, value in rows] == [
        ("Name", "Ada Lovelace"),
        ("Email", "ada@example.test"),
        ("Received", "7 January 2026, 12:34 UTC"),
        ("Priority", "High"),
        ("Company", "Analytical Engines"),
    ]


@pytest.mark.parametrize("name", WITH_HTML)
def test_address_links_to_itself_and_carries_nothing_else(name: str) -> None:
    html = html_of(name, given(email="a?cc=evil@example.test"))
    assert [attributes["href"] for tag, attributes in Outline(html).tags if tag == "a"] == [
        "mailto:a%3Fcc%3Devil@example.test"
    ]


@pytest.mark.parametrize("name", WITH_HTML)
def test_frame_asks_nothing_of_the_network_and_needs_no_encoding(name: str) -> None:
    html = html_of(name, given(custom_fields={"Company": "Analytical Engines"})).lower()
    for remote in ("http", "url(", "src=", "@import", "<img", "<link", "<script"):
        assert remote not in html
    assert html.isascii()
    assert max(map(len, html.splitlines())) < 998


@pytest.mark.parametrize("name", WITH_HTML)
def test_frame_is_small_beside_the_102_kilobytes_that_gmail_shows(name: str) -> None:
    assert len(html_of(name, given(custom_fields={str(number): "x" for number in range(5)})).encode()) < 12_000


@pytest.mark.parametrize("name", WITH_HTML)
def test_frame_keeps_what_mail_clients_need(name: str) -> None:
    html = html_of(name, given(custom_fields={"Company": "Analytical Engines"}))
    outline = Outline(html)
    assert outline.open == []
    assert html.startswith("<!DOCTYPE html>\n<html lang=")
    assert "max-width:600px" in html
    assert '<!--[if mso]><table role="presentation" align="center" width="600"' in html
    assert "overflow-wrap:anywhere" in html
    for dark in (
        "prefers-color-scheme:dark",
        "[data-ogsc] .text",
        "[data-ogsb] .page",
        'name="supported-color-schemes"',
    ):
        assert dark in html
    for table, behind in re.findall(r"<table ([^>]*)>\s*<tr>(<t[hd])", html):
        assert ('role="presentation"' in table) == (behind == "<td"), (
            "a table of data has headings, one of layout a role"
        )


@pytest.mark.parametrize("name", WITH_HTML)
def test_nothing_is_wider_than_a_phone_except_as_a_maximum(name: str) -> None:
    html = re.sub("<!--.*?-->", "", html_of(name, given(custom_fields={"Company": "Analytical Engines"})))
    assert not re.findall(r'(?<!max-)width[:=]"?\d{3,}(?!%|\d)', html)


@pytest.mark.parametrize("name", WITH_HTML)
def test_every_class_that_a_body_uses_has_its_dark_colours(name: str) -> None:
    html = html_of(name, given(custom_fields={"Company": "Analytical Engines"}))
    used = {word for _, attributes in Outline(html).tags for word in (attributes.get("class") or "").split()}
    queried = html.partition("prefers-color-scheme:dark")[2].partition("</style>")[0]
    for word in used - {"in", "tile"}:
        assert f".{word}{{" in queried
        assert re.search(rf"\[data-ogs[bc]\] \.{word}\{{", html)


@pytest.mark.parametrize("name", WITH_HTML)
def test_what_people_wrote_finds_its_own_direction(name: str) -> None:
    words = {"username": "ليلى", "message": "مرحبا\nHello", "key": "الشركة", "value": "النور"}
    html = html_of(
        name,
        given(username=words["username"], message=words["message"], custom_fields={words["key"]: words["value"]}),
    )
    for word in words.values():
        assert re.search(rf'<\w+ [^>]*dir="auto"[^>]*>{word.replace(chr(10), "<br>")}<', html)


@pytest.mark.parametrize("name", WITH_HTML)
def test_preview_line_starts_with_the_message_and_stays_short(name: str) -> None:
    html = html_of(name, given(message="<b>" + "word " * 100))
    preview = unescape(html.partition('<div style="display:none')[2].partition(">")[2].partition("</div>")[0])
    assert preview.splitlines()[0] == ("<b>" + "word " * 100)[:120]


def template(directory: Path, name: str, **files: str) -> None:
    (directory / name).mkdir(parents=True)
    for file, content in files.items():
        (directory / name / file.replace("_", ".")).write_text(content, encoding="utf-8")


def test_sixth_template_is_found_by_its_files(tmp_path: Path) -> None:
    for name in ("_builtin", "Zebra", "Default", "Alpha", "Alert", "Modern"):
        template(tmp_path, name, subject_txt="From {{ sender }}", body_txt="{{ message }}")
    (tmp_path / "Zebra" / "body.html").write_text("<p>{{ message|breaks }}</p>", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not a template", encoding="utf-8")
    templates = Templates(tmp_path)
    assert templates.names == ("Default", "Modern", "Alert", "Alpha", "Zebra")
    assert templates.render("Zebra", **given(message="1 < 2\n3")) == RenderedTemplate(
        "From Ada Lovelace", "1 < 2\n3", "<p>1 &lt; 2<br>3</p>"
    )


@pytest.mark.parametrize(
    ("mistake", "error"), [("{{ sendr }}", UndefinedError), ("{% if name %}", TemplateSyntaxError)]
)
def test_mistake_in_a_file_is_found_before_anything_is_sent(
    tmp_path: Path, mistake: str, error: type[Exception]
) -> None:
    template(tmp_path, "_builtin", subject_txt="From {{ sender }}", body_txt="{{ message }}")
    template(tmp_path, "Wrong", subject_txt="From {{ sender }}", body_txt=mistake)
    with pytest.raises(error):
        Templates(tmp_path)
