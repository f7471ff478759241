"""What a marketer's words become, and what no value and no template can make of them."""

import os
import re
import string
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.errors import InvalidInputError
from outreach.mail.content import FOOTER_MARK, MASTHEAD_MARK, Prepared, fill, fill_by_liquid, prepare

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NASTY = st.sampled_from(
    ["", "Åsa", "<b>", "</p><script>alert(1)</script>", '" onmouseover="x', "a\r\nBcc: x", "{{ name }}", "{% if %}",
     "javascript:alert(1)", FOOTER_MARK, "xliqxo0z", "&amp;", "\u202egnp", "\x00\x1b", "../..", "a b?c&d=#"]
)  # fmt: skip
VALUES = ANY | NASTY


class Reader(HTMLParser):
    """Collects what a mail program would see."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def letter(html: str) -> str:
    """The part of the sheet that the marketer wrote."""
    return html.split('class="letter"', 1)[1].split('class="foot"', 1)[0]


def reason(body: str, subject: str = "s") -> str:
    with pytest.raises(InvalidInputError) as caught:
        prepare(subject, "", body)
    return str(caught.value)


def test_fields_stand_in_every_part() -> None:
    made = prepare("Hi {{ name }}", "For {{ name }}", "Dear **{{ name }}**, `{{ name }}`")
    shown = fill(made, {"name": "Åsa"})
    assert (shown.subject, shown.preheader, shown.text) == ("Hi Åsa", "For Åsa", "Dear Åsa, Åsa\n")
    assert "<strong>Åsa</strong>" in shown.html
    assert ">For Åsa</div>" in shown.html
    assert made.fields == {"name"}


def test_a_field_nobody_has_is_empty_and_named_so_that_the_page_can_warn() -> None:
    made = prepare("Hi{{ nmae }}", "", "x {{ city | default: 'town' }}")
    assert made.fields == {"nmae", "city"}
    assert fill(made, {}).subject == "Hi"
    assert fill(made, {}).text == "x town\n"


def test_markdown_becomes_styled_html_and_the_same_words_as_text() -> None:
    body = "# Title\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> said\n\n[see](https://example.org/x) it"
    shown = fill(prepare("s", "", body), {})
    assert "style=" in letter(shown.html)
    assert {"h1", "ul", "li", "table", "blockquote", "a"} <= set(Reader(letter(shown.html)).tags)
    assert "* one" in shown.text
    assert "see <https://example.org/x> it" in shown.text
    assert "@media (prefers-color-scheme: dark)" in shown.html


def test_conditions_on_lines_of_their_own_leave_no_empty_paragraphs() -> None:
    made = prepare("s", "", "Start\n\n{% if city %}\nIn {{ city }}.\n{% else %}\nNowhere.\n{% endif %}\n\nEnd")
    there, nowhere = fill(made, {"city": "Malmö"}), fill(made, {})
    assert there.text == "Start\n\nIn Malmö.\n\nEnd\n"
    assert nowhere.text == "Start\n\nNowhere.\n\nEnd\n"
    assert letter(there.html).count("<p") == 3
    assert not made.is_plain


def test_a_loop_writes_its_items() -> None:
    made = prepare("s", "", "{% for n in (1..3) %}x{{ n }} {% endfor %}")
    assert fill(made, {}).text.split() == ["x1", "x2", "x3"]


def test_dashes_trim_the_space_around_a_tag() -> None:
    assert fill(prepare("a {{- name -}} b", "", "x"), {"name": "N"}).subject == "aNb"


@pytest.mark.parametrize(
    "body",
    ["{{ x", "{% if a %}", "{% endif %}", "{{ x | nosuch }}", "{% nosuch %}", "{{ }}"],
)  # fmt: skip
def test_liquid_that_cannot_work_is_named_on_the_authors_page(body: str) -> None:
    assert "fields in this text do not work" in reason(body)


def test_the_field_at_fault_is_named() -> None:
    wrong = {"subject": ("{{", "", "x"), "preheader": ("s", "{{", "x"), "body": ("s", "", "{{")}
    for at, (subject, preheader, body) in wrong.items():
        with pytest.raises(InvalidInputError) as caught:
            prepare(subject, preheader, body)
        assert caught.value.field == at


@pytest.mark.parametrize("body", ["**{% if a %}x** y{% endif %}", "- {% if a %}x\n- y{% endif %}"])
def test_a_tag_across_elements_is_refused(body: str) -> None:
    assert "ends in another" in reason(body)


@pytest.mark.parametrize(
    "body",
    [
        "{% include 'secrets' %}", "{% render 'x' %}", "{% liquid echo x %}", "{% raw %}x{% endraw %}",
        "{% layout 'x' %}", "{% macro x %}",
        "{{ 'DB_PASSWORD' | env }}", "{{ 'now' | date: '%s' }}", "{{ 'x' | base64_decode }}",
    ],
)  # fmt: skip
def test_templates_reach_no_file_no_environment_and_no_clock(body: str) -> None:
    """CVE-2025-49136: a peer's templates could read the host's environment, database password included."""
    assert "do not work" in reason(body)


@pytest.mark.parametrize(
    "expression",
    ["env.PATH", "environ", "self", "settings", "__class__", "name.__class__.__mro__", "name.encode", "globals",
     "xliqx", "forloop.parentloop", "template", "request.environ"],
)  # fmt: skip
def test_names_that_are_no_fields_are_empty(expression: str) -> None:
    """CVE-2025-49136 again: nothing but the reader's own fields has a name."""
    shown = fill(prepare("s", "", f"[{{{{ {expression} }}}}]"), {"name": "Ann"})
    assert shown.text == "[]\n"
    assert not any(len(value) > 3 and value in shown.html for value in (os.environ["PATH"],))


@pytest.mark.parametrize(
    "body",
    [
        "{% for i in (1..100000000) %}x{% endfor %}",
        "{% for i in (1..1000) %}{% for j in (1..1000) %}x{% endfor %}{% endfor %}",
        "{% assign x = 'aaaaaaaaaa' %}{% for i in (1..999) %}{% assign x = x | append: x %}{% endfor %}",
    ],
)
def test_a_template_that_would_never_end_or_never_stop_growing_is_refused(body: str) -> None:
    assert "do not work" in reason(body)


def test_a_loop_a_value_drives_meets_its_limit_when_filled() -> None:
    made = prepare("s", "", "{% for i in (1..n) %}x{% endfor %}")
    with pytest.raises(InvalidInputError):
        fill(made, {"n": "99999999"})


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", "JaVaScRiPt:x", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "/relative",
     "//x.org", "&#106;avascript:x", "java&#10;script:x", "https://", "ftp://x.org"],
)  # fmt: skip
def test_links_lead_to_http_or_mailto_only(link: str) -> None:
    assert "must begin with https://" in reason(f"[x]({link})")


@pytest.mark.parametrize("link", ["{{ url }}", "https://{{ host }}/", "https://x.{{ host }}/", "https://x.org{{ a }}",
                                  "mailto:{{ x }}", "mailto:a@{{ x }}?subject=b"])  # fmt: skip
def test_no_value_chooses_where_a_link_leads(link: str) -> None:
    assert "must begin" in reason(f"[x]({link})") or "after the host" in reason(f"[x]({link})")


@pytest.mark.parametrize("source", ["http://x.org/a.png", "https://x.org/{{ name }}.png", "https://x.org/?u={{ a }}"])
def test_a_picture_cannot_tell_who_opened_the_mail(source: str) -> None:
    assert "picture" in reason(f"![alt]({source})")


def test_raw_html_is_shown_not_obeyed() -> None:
    shown = fill(prepare("s", "", "<script>x</script> <img src=x onerror=y> <b>bold</b>"), {})
    assert not {"script", "img", "b"} & set(Reader(letter(shown.html)).tags)
    assert "<b>bold</b>" in shown.text


@given(name=VALUES, city=VALUES)
def test_no_value_adds_an_element_an_attribute_or_a_line(name: str, city: str) -> None:
    shown, usual = fill(_EVERYWHERE, {"name": name, "city": city}), fill(_EVERYWHERE, {"name": "x", "city": "y"})
    mine, theirs = Reader(shown.html), Reader(usual.html)
    assert mine.tags == theirs.tags
    assert [attribute[:2] for attribute in mine.attributes] == [attribute[:2] for attribute in theirs.attributes]
    assert shown.html.count(FOOTER_MARK) == shown.html.count(MASTHEAD_MARK) == 1
    assert not re.search(r"[\r\n\x00-\x1f\x7f\x85\u2028\u2029]", shown.subject + shown.preheader)
    assert len(shown.text.split("\n")) == len(usual.text.split("\n"))
    for _, attribute, value in mine.attributes:
        if attribute == "href":
            assert re.fullmatch(r"https://example\.org/[A-Za-z0-9%._~-]*\?n=[A-Za-z0-9%._~-]*", value)


_EVERYWHERE = prepare(
    "Hi {{ name }}",
    "{{ city | default: 'x' }}",
    'Dear {{ name }}, [go {{ name }}](https://example.org/{{ city }}?n={{ name }} "t {{ name }}")\n\n'
    "| {{ name }} |\n|---|\n| {{ city }} |\n\n```\n{{ name }}\n```\n",
)


@given(name=VALUES, city=VALUES)
def test_joining_and_liquid_fill_alike(name: str, city: str) -> None:
    assert _EVERYWHERE.is_plain
    for fields in ({"name": name, "city": city}, {"name": name}, {}):
        assert fill(_EVERYWHERE, fields) == fill_by_liquid(_EVERYWHERE, fields)


_WORDS = st.text(string.ascii_letters + " .,*_#>-&;{}\n`|![]()<1", max_size=60)
_OUTPUTS = st.sampled_from(
    ["{{ name }}", "{{name|default:'friend'}}", "{{ city | default: \"a | b\" }}", "{{- name -}}", "{{ plan }}",
     "{{ true }}", "{{ empty }}", "{{ 'lit' }}", "{{ name | upcase }}", "{% if name %}",
     "\n{% else %}\n", "{%- endif %}", "\n{% if city %}\n", "\n{% endif %}\n"]
)  # fmt: skip


@given(pieces=st.lists(_WORDS | _OUTPUTS, min_size=1, max_size=8), name=VALUES)
def test_whatever_is_written_fills_alike_from_its_stored_form(pieces: list[str], name: str) -> None:
    try:
        made = prepare("s {{ name }}", "", "".join(pieces) + "x")
    except InvalidInputError:
        return
    fields = {"name": name, "city": "Malmö"}
    shown = fill(made, fields)
    assert shown == fill_by_liquid(made, fields)
    assert fill(Prepared.from_json(made.to_json()), fields) == shown
    assert made.fixed_name not in fill(made, {}).html


def test_text_that_looks_like_a_mark_or_like_liquid_stays_text() -> None:
    made = prepare("s", "", "xliqxo0z {{ name }} &#123;&#123; name &#125;&#125; {% if name %}y{% endif %}")
    assert fill(made, {"name": "Ann"}).text == "xliqxo0z Ann {{ name }} y\n"


def test_a_mail_too_large_for_its_readers_is_refused_while_it_is_written() -> None:
    assert "100 kB" in reason("long words " * 6_000)


@pytest.mark.parametrize(("subject", "body", "at"), [("", "x", "subject"), (" ", "x", "subject"), ("s", " \n", "body")])
def test_a_mail_needs_a_subject_and_a_text(subject: str, body: str, at: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        prepare(subject, "", body)
    assert caught.value.field == at


def test_the_same_words_prepare_to_the_same_content() -> None:
    assert prepare("Hi {{ name }}", "", "x {{ a }}").to_json() == prepare("Hi {{ name }}", "", "x {{ a }}").to_json()
