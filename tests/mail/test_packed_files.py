"""Files between two people: an address inside is found however it is packed, and what is hostile costs no more."""

import gzip
import io
import struct
import time
import zipfile
import zlib

import pytest

from outreach.mail.disguises import Spellings

ALICE = "alice.berg@inviters.example"
KNOWN = Spellings([ALICE])


def zipped(name: str, octets: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, octets)
    return made.getvalue()


def pdf(inside: bytes, *, deflated: bool) -> bytes:
    """An object, or a stream of them (ISO 32000-1, 7.5.7)."""
    if not deflated:
        return b"%PDF-1.5\n1 0 obj <<" + inside + b">> endobj\n%%EOF"
    stream = zlib.compress(b"<<" + inside + b">>")
    head = b"%%PDF-1.5\n1 0 obj << /Type /ObjStm /Filter /FlateDecode /Length %d >>\nstream\n" % len(stream)
    return head + stream + b"\nendstream endobj\n%%EOF"


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    made = b"\x89PNG\r\n\x1a\n"
    for kind, content in chunks:
        made += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return made


def documents(named: str) -> dict[str, bytes]:
    document = zipped("docProps/core.xml", f"<dc:creator>{named}</dc:creator>".encode())
    wide = ("\ufeff" + named).encode("utf-16-be")
    return {
        "document": document,
        "document in an archive": zipped("cv.docx", document),
        "gzip": gzip.compress(named.encode() * 3),
        "document in gzip": gzip.compress(document),
        "PDF": pdf(b"/Author (" + named.encode() + b")", deflated=False),
        "PDF, wide": pdf(b"/Author (" + wide + b")", deflated=False),
        "PDF, in hexadecimal": pdf(b"/Author <" + wide.hex().encode() + b">", deflated=False),
        "PDF, an object stream": pdf(b"/Author (" + named.encode() + b")", deflated=True),
        "PDF, hexadecimal in an object stream": pdf(b"/Author <" + wide.hex().encode() + b">", deflated=True),
        "PNG": png((b"IHDR", b"\0" * 13), (b"zTXt", b"Author\0\0" + zlib.compress(named.encode()))),
        "picture in a document": zipped("a.png", png((b"zTXt", b"Author\0\0" + zlib.compress(named.encode())))),
    }


@pytest.mark.parametrize("name", documents(""))
def test_an_address_is_found_however_it_is_packed_and_none_where_there_is_none(name: str) -> None:
    assert KNOWN.remain_in_octets(documents(ALICE)[name])
    assert not KNOWN.remain_in_octets(documents("carol@elsewhere.example")[name])


def test_what_unpacks_without_end_or_not_at_all_costs_little() -> None:
    bomb = gzip.compress(b"\0" * 300_000_000, 6)
    hostile = [
        bomb,
        zipped("a", zipped("b", bomb)),
        b"\x78\x9c" * 1_000_000,
        zlib.compress(b"\0" * 100_000_000)[:-9] * 20,
        b"PK\3\4" + b"\xff" * 1_000_000,
        b"\x1f\x8b" + b"\xff" * 1000,
        b"<" + b"0" * 9_000_000,
        b"".join(zlib.compress(b"\x78\x9c" * 9_000 + b"%d" % number) for number in range(2_000)),
        png(*((b"IDAT", zlib.compress(b"x" * 40)) for _ in range(20_000))),
    ]
    for octets in hostile:
        began = time.process_time()
        assert not KNOWN.remain_in_octets(octets)
        assert time.process_time() - began < 5
