"""Mail between two people, cleaned: neither address comes through however it is written, or its writer is warned."""

import base64
import email
import html
import io
import re
import zipfile
from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outreach.mail.cleaning import MARK, Cleaned, Doubt, clean
from outreach.mail.relayed import LOOP_MARK, Letter, compose

ALICE, BOB = "alice.berg@inviters.example", "bob@recipients.example"
BOTH = (ALICE, BOB)
SITE = "https://garden.example"
RELAY = f"with-{'a' * 26}@in.garden.example"


def cleaned(mail: EmailMessage | bytes) -> Cleaned:
    octets = mail if isinstance(mail, bytes) else mail.as_bytes(policy=policy.SMTP)
    return clean(octets, known=BOTH, mail_in="in.garden.example", public_url=SITE)


def of_text(text: str, subject: str = "Hello") -> Cleaned:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = f"Alice Berg <{ALICE}>", RELAY, subject
    mail.set_content(text)
    return cleaned(mail)


def of_html(page: str, text: str | None = None) -> Cleaned:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = ALICE, RELAY, "Hello"
    if text is None:
        mail.set_content(page, subtype="html")
    else:
        mail.set_content(text)
        mail.add_alternative(page, subtype="html")
    return cleaned(mail)


def passed_on(mail: Cleaned) -> bytes:
    return compose(Letter("Alice", RELAY, BOB, "m1@garden.example", 1_790_000_000, "<p>Below.</p>"), mail)


def squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def everything_in(octets: bytes) -> str:
    """All its reader's programme could show, but for the To of their own copy."""
    mail = email.message_from_bytes(octets, policy=policy.default)
    shown = [f"{name} {value}" for name, value in mail.items() if name != "To"]
    for part in mail.walk():
        shown += [str(value) for value in part.values() if part is not mail]
        if not part.is_multipart():
            shown.append(part.get_payload(decode=True).decode("utf-8", "replace"))  # type: ignore[union-attr]
    return "\n".join(shown)


def assert_nothing_tells(mail: Cleaned) -> None:
    raw = passed_on(mail)
    without_to = re.sub(rb"^To: [^\r]*\r\n", b"", raw, count=1, flags=re.MULTILINE)
    for whole in (everything_in(raw), without_to.decode("latin-1"), html.unescape(everything_in(raw))):
        for address in BOTH:
            assert address not in whole.casefold()
            assert squeezed(address) not in squeezed(whole)


DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "percent": lambda one: quote(one, safe=""),
    "percent, all of it": lambda one: "".join(f"%{octet:02x}" for octet in one.encode()),
    "percent twice": lambda one: quote(quote(one, safe=""), safe=""),
    "entities": lambda one: "".join(f"&#{ord(letter)};" for letter in one),
    "entities in hexadecimal": lambda one: one.replace("@", "&#x40;").replace(".", "&period;"),
    "spaces": " ".join,
    "zero width": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "wide letters": lambda one: "".join(chr(ord(letter) + 0xFEE0) for letter in one),
    "bold letters": lambda one: "".join(
        chr(0x1D41A + ord(letter) - 97) if letter.isalpha() else letter for letter in one
    ),
    "accents": lambda one: one.replace("e", "e\u0301"),
    "other alphabets": lambda one: one.replace("a", "\u0430").replace("e", "\u0435").replace("o", "\u043e"),
    "words": lambda one: one.replace("@", " at ").replace(".", " dot "),
    "brackets": lambda one: one.replace("@", " (at) ").replace(".", " [dot] "),
    "Swedish": lambda one: one.replace("@", " snabel-a ").replace(".", " punkt "),
    "Dutch": lambda one: one.replace("@", " apenstaartje ").replace(".", " punt "),
    "quoted-printable": lambda one: one.replace("@", "=40").replace(".", "=2E"),
    "two lines": lambda one: one.replace("@", "@\n> "),
    "back-slashes": lambda one: one.replace("@", "\\u0040"),
    "tagged": lambda one: one.replace("@", "+garden@"),
    "mailto": lambda one: f"mailto:{one}?subject=hi",
    "backwards": lambda one: one[::-1],
    "base64": lambda one: base64.b64encode(one.encode()).decode(),
    "stars": lambda one: one.replace("@", "*@*"),
    "no signs at all": lambda one: re.sub(r"[@.]", " ", one),
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("address", BOTH)
def test_an_address_is_cut_out_or_its_writer_is_warned(address: str, disguise: str) -> None:
    hidden = DISGUISES[disguise](address)
    for mail in (of_text(f"Write to {hidden} please.\n"), of_text("Hello\n", f"It is {hidden}".replace("\n", " "))):
        if not mail.doubts:
            assert_nothing_tells(mail)
            assert mail.has_cuts


@pytest.mark.parametrize("disguise", ["as it is", "upper case", "percent", "entities", "spaces", "zero width", "words"])
def test_plain_disguises_need_no_warning(disguise: str) -> None:
    mail = of_text(f"Write to {DISGUISES[disguise](ALICE)} please.\n")
    assert mail.text == f"Write to {MARK} please.\n"
    assert mail.doubts == ()


@settings(max_examples=150, deadline=None)
@given(
    before=st.text(max_size=30),
    after=st.text(max_size=30),
    address=st.sampled_from(BOTH),
    disguise=st.sampled_from(sorted(DISGUISES)),
    place=st.sampled_from(["text", "html", "both", "subject", "link", "file name"]),
)
def test_whatever_the_body_the_addresses_do_not_come_through(
    before: str, after: str, address: str, disguise: str, place: str
) -> None:
    hidden = DISGUISES[disguise](address)
    body = f"{before} {hidden} {after}".replace("\r", " ").encode("utf-8", "replace").decode()
    page = f"<p>{html.escape(body)}</p>"
    mail = EmailMessage()
    mail["From"] = ALICE
    mail["Subject"] = (
        " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", body).split()) if place == "subject" else "Hi"
    )
    mail.set_content(body if place in {"text", "both"} else "Hello\n")
    if place in {"html", "both", "link"}:
        link = html.escape(f"https://x.example/?to={hidden}")
        mail.add_alternative(page if place != "link" else f'<a href="{link}">here</a>', subtype="html")
    if place == "file name":
        name = re.sub(r"[\x00-\x1f\x7f]", "", body)
        mail.add_attachment(b"\x00\x01", maintype="image", subtype="png", filename=name)
    found = cleaned(mail.as_bytes(policy=policy.SMTP.clone(max_line_length=None, utf8=True)))
    if not found.doubts:
        assert_nothing_tells(found)


MIXED = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=600))
def test_nothing_that_comes_in_breaks_it(octets: bytes) -> None:
    for whole in (
        octets,
        b"Content-Type: text/html\r\n\r\n" + octets,
        MIXED + octets,
    ):
        passed_on(cleaned(whole))


QUOTES = {
    "iOS": f"On 22 Nov 2026, at 10:31, Bob Lind <{BOB}> wrote:\n> See you\n",
    "iOS in Swedish": f"> 22 nov. 2026 kl. 10:31 skrev Bob Lind <{BOB}>:\n> \n> Vi ses\n",
    "Gmail, broken": f"On Sun, Nov 22, 2026 at 10:31 AM Bob Lind <\n{BOB}> wrote:\n\n> See you\n",
    "Gmail in Dutch": f"Op zo 22 nov 2026 om 10:31 schreef Bob Lind <{BOB}>:\n\n> Tot ziens\n",
    "Gmail in German": f"Am So., 22. Nov. 2026 um 10:31 Uhr schrieb Bob Lind <\n{BOB}>:\n\n> Bis bald\n",
    "Outlook": f"________________________________\nFrom: B <{BOB}>\nSent: today\nTo: A <{ALICE}>\nSubject: Hi\n\nx\n",
    "Outlook in Swedish": f"Från: Bob Lind <{BOB}>\nSkickat: den 22 november\nTill: Alice <{ALICE}>\nÄmne: Hej\n\nx\n",
    "Outlook in Dutch": f"Van: Bob Lind <{BOB}>\nVerzonden: zondag\nAan: Alice <{ALICE}>\nOnderwerp: Hoi\n\nx\n",
    "Android": f"-------- Originalmeddelande --------\nFrån: carol@third.example\nTill: {ALICE}\n\nx\n",
    "copies": "On Sunday Bob wrote:\n> From: <carol@third.example>\n> Cc: d@fourth.example\n> carol@third.example\n",
    "signature": f"-- \nAlice Berg\n{ALICE}\noffice@firm.example\n",
    "phone's signature": "Skickat från min iPhone\nAlice, alice@firm.example\n",
    "another language": f"2026. 11. 22. 10:31, Bob Lind <{BOB}> ezt írta:\n> Viszlát\n",
}


@pytest.mark.parametrize("kind", QUOTES)
def test_what_mail_programs_quote_loses_everybodys_address(kind: str) -> None:
    mail = of_text(f"Yes, gladly.\n\n{QUOTES[kind]}")
    assert mail.doubts == ()
    assert "@" not in mail.text
    assert mail.text.startswith("Yes, gladly.\n")
    assert_nothing_tells(mail)
    page = html.escape(QUOTES[kind]).replace("\n", "<br>")
    in_html = of_html(f"<div>Yes, gladly.</div><blockquote>{page}</blockquote>")
    assert in_html.doubts == ()
    assert "@" not in in_html.html
    assert_nothing_tells(in_html)


def test_ones_own_words_with_somebodys_address_are_doubted() -> None:
    mail = of_text("Ask carol@third.example, or dora at fourth dot example.\n")
    assert [one.kind for one in mail.doubts] == ["address", "address"]
    assert mail.doubts[0].shown == "c•••@t•••.example"
    assert "carol@third.example" in mail.text


@pytest.mark.parametrize(
    "text", ["Meet me at ten. Look at example.org!", "2 @ 3 kr", "@bob are you there?", "Bob wrote that he comes.\n"]
)
def test_ordinary_words_are_not_doubted(text: str) -> None:
    mail = of_text(text)
    assert mail.doubts == ()
    assert not mail.has_cuts


def test_html_loses_what_acts_and_what_is_loaded() -> None:
    mail = of_html(
        '<style>p{}</style><script>x()</script><p onclick="x()">Hi <b>there</b></p>'
        '<img src="https://track.example/1.gif"><img src="cid:me"><a href="https://ok.example/a?b=1">a page</a>'
        '<a href="javascript:x()">b</a><form action="https://x.example"><input></form><iframe src="/x"></iframe>'
    )
    assert mail.lost_pictures
    assert 'href="https://ok.example/a?b=1"' in mail.html
    for gone in ("script", "style", "onclick", "<img", "form", "input", "iframe", "track.example", "javascript"):
        assert gone not in mail.html


def test_html_is_cut_across_its_marks() -> None:
    mail = of_html(f"<p>I am <b>alice</b>.<i>berg</i>&#64;<span>inviters</span>.example, <u>{ALICE}</u></p>")
    assert mail.doubts == ()
    assert_nothing_tells(mail)
    assert mail.html.count(MARK) == 2


def test_links_that_name_somebody_or_are_ours_lead_nowhere() -> None:
    for href in (f"https://x.example/?to={quote(BOB)}", f"mailto:{ALICE}", f"{SITE}/connection/t1.a.b/end"):
        mail = of_html(f'<p><a href="{href}">here</a></p>')
        assert "href" not in mail.html
        assert "here" in mail.html


def test_links_of_ours_in_a_quote_do_not_go_back() -> None:
    quoted = f"> To hear nothing more: End this connection <{SITE}/connection/t1.abc.def/end>\n> {RELAY}\n"
    mail = of_text(f"Thanks!\n\n{quoted}")
    assert mail.doubts == ()
    assert SITE not in mail.text
    assert "with-" not in mail.text


def attached(name: str, octets: bytes, maintype: str = "application", subtype: str = "octet-stream") -> Cleaned:
    mail = EmailMessage()
    mail["From"] = ALICE
    mail.set_content("See the file.\n")
    mail.add_attachment(octets, maintype=maintype, subtype=subtype, filename=name)
    return cleaned(mail)


def test_files_go_along_as_they_are() -> None:
    picture = b"\x89PNG\r\n" + bytes(range(256)) * 40
    mail = attached("Äpplen och päron.png", picture, "image", "png")
    assert mail.doubts == ()
    (part,) = email.message_from_bytes(passed_on(mail), policy=policy.default).iter_attachments()
    assert (part.get_filename(), part.get_content_type()) == ("Äpplen och päron.png", "image/png")
    assert part.get_payload(decode=True) == picture


@pytest.mark.parametrize(
    "name", ["😀" * 95 + ".txt", "a" * 96 + ".txt", "é" * 30 + "%41 b.txt"], ids=["pictures", "ascii", "letters"]
)
def test_a_long_file_name_goes_along_on_short_lines(name: str) -> None:
    octets = passed_on(attached(name, b"x"))
    assert max(len(line) for line in octets.split(b"\r\n")) <= 78
    for read_by in (policy.default, policy.compat32):
        (part,) = [one for one in email.message_from_bytes(octets, policy=read_by).walk() if one.get_filename()]
        assert part.get_filename() == name
    pieces = re.findall(rb"filename\*\d+\*=([^;\r]*)", octets)
    assert pieces
    assert all(re.fullmatch(rb"(?:%[0-9A-F]{2}|[^%]){1,60}", piece) and len(piece) <= 60 for piece in pieces)


@pytest.mark.parametrize(
    "name", [f"{ALICE}.pdf", "mail bob@recipients.example (1).pdf", "../../passwd", "a\r\nX: y.pdf"]
)
def test_file_names_are_cleaned(name: str) -> None:
    mail = attached(name.replace("\r\n", " "), b"%PDF")
    (file,) = mail.files
    assert not re.search(r"[@/\\\r\n]", file.name)
    assert_nothing_tells(mail)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("card.vcf", "text/vcard"),
        ("meeting.ics", "text/calendar"),
        ("invite", "text/calendar"),
        ("card.vcf", "application/octet-stream"),
        ("winmail.dat", "application/ms-tnef"),
        ("key.asc", "application/pgp-keys"),
        ("smime.p7m", "application/pkcs7-mime"),
        ("forwarded.eml", "application/octet-stream"),
    ],
)
def test_files_of_kinds_that_name_people_are_left_out_in_words(name: str, kind: str) -> None:
    maintype, _, subtype = kind.partition("/")
    mail = attached(name, f"EMAIL:{ALICE}".encode(), maintype, subtype)
    assert mail.files == ()
    assert len(mail.left_out) == 1
    assert_nothing_tells(mail)


def test_a_mail_within_the_mail_is_left_out() -> None:
    inner = EmailMessage()
    inner["From"] = BOB
    inner.set_content("x\n")
    mail = EmailMessage()
    mail["From"] = ALICE
    mail.set_content("See below.\n")
    mail.add_attachment(inner, filename="old.eml")
    found = cleaned(mail)
    assert found.left_out == ("old.eml",)
    assert_nothing_tells(found)


def test_a_signature_of_the_whole_mail_goes_without_a_word() -> None:
    mail = attached("signature.asc", b"-----BEGIN PGP SIGNATURE-----", "application", "pgp-signature")
    assert (mail.files, mail.left_out) == ((), ())


def packed(name: str, octets: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, octets)
    return whole.getvalue()


@pytest.mark.parametrize(
    "octets",
    [
        f"author={ALICE}".encode(),
        BOB.upper().encode(),
        BOB.encode("utf-16"),
        packed("docProps/core.xml", f"<dc:creator>{ALICE}</dc:creator>".encode() * 3),
        packed(f"{BOB}.txt", b"x"),
    ],
)
def test_a_file_that_holds_one_of_the_two_is_doubted(octets: bytes) -> None:
    assert attached("letter.docx", octets).doubts == (Doubt("file", "letter.docx"),)


def test_a_text_file_that_holds_any_address_is_doubted() -> None:
    assert attached("list.csv", b"carol;carol@third.example\n", "text", "csv").doubts == (Doubt("file", "list.csv"),)
    assert attached("list.csv", b"carol;12\n", "text", "csv").doubts == ()


def test_no_header_of_the_mail_goes_along() -> None:
    mail = EmailMessage()
    for name in ("Reply-To", "Cc", "Sender", "X-Originating-Email", "Disposition-Notification-To", "Autocrypt"):
        mail[name] = ALICE
    mail["From"], mail["To"], mail["Subject"] = ALICE, RELAY, "Hej på dig"
    mail["User-Agent"] = "Mutt"
    mail.set_content("Hello\n")
    raw = passed_on(cleaned(mail))
    found = email.message_from_bytes(raw, policy=policy.default)
    assert found["Subject"] == "Hej på dig"
    assert found["From"] == f"Alice <{RELAY}>"
    assert found[LOOP_MARK] == "in.garden.example"
    body = {"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
    assert set(found.keys()) == {"From", "To", "Subject", "Date", "Message-ID", LOOP_MARK} | body


def test_the_thread_goes_on_under_new_names() -> None:
    letter = Letter(
        "Alice", RELAY, BOB, "m2@garden.example", 1_790_000_000, "<p>x</p>", ("b1@bob.example", "m1@g.example")
    )
    found = email.message_from_bytes(compose(letter, of_text("Hello\n")), policy=policy.default)
    assert found["In-Reply-To"] == "<m1@g.example>"
    assert found["References"].split() == ["<b1@bob.example>", "<m1@g.example>"]


def test_text_between_files_and_html_alone_are_read_whole() -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nfirst\r\n--x\r\n"
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n--x\r\n"
        b"Content-Type: text/plain\r\n\r\nsecond\r\n--x--\r\n"
    )
    mail = cleaned(octets)
    assert mail.text.split() == ["first", "second"]
    assert [one.name for one in mail.files] == ["file-1.png"]
    only = of_html("<p>Hello <b>you</b></p>")
    assert only.text.strip() == "Hello you"
    assert "<b>you</b>" in only.html


def test_lines_are_short_and_all_is_ascii() -> None:
    raw = passed_on(of_text("räksmörgås " * 200))
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 100
    assert b"\n" not in raw.replace(b"\r\n", b"")
