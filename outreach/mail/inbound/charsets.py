"""Octets to text, whatever charset a mail claims: known ones by their codec, all others as UTF-8 or Latin-1.

A claim is looked up in a table of ours and never handed to Python's codec search: that remembers every name it did not
know, and some of its codecs (punycode, idna) take quadratic time.
"""

_BY_CODEC = {
    "utf-8": ("utf-8", "utf8", "us-ascii", "ascii", "ansi-x3.4-1968", "unicode-1-1-utf-8", "utf-8-sig"),
    "cp1252": ("iso-8859-1", "iso8859-1", "latin1", "latin-1", "windows-1252", "cp1252", "x-ansi", "ansi"),
    "iso8859-2": ("iso-8859-2", "latin2"),
    "iso8859-3": ("iso-8859-3",),
    "iso8859-4": ("iso-8859-4",),
    "iso8859-5": ("iso-8859-5",),
    "iso8859-6": ("iso-8859-6", "iso-8859-6-i"),
    "iso8859-7": ("iso-8859-7",),
    "iso8859-8": ("iso-8859-8", "iso-8859-8-i"),
    "cp1254": ("iso-8859-9", "latin5", "windows-1254", "cp1254"),
    "iso8859-10": ("iso-8859-10",),
    "iso8859-13": ("iso-8859-13",),
    "iso8859-14": ("iso-8859-14",),
    "iso8859-15": ("iso-8859-15", "latin-9", "latin9"),
    "iso8859-16": ("iso-8859-16",),
    "cp1250": ("windows-1250", "cp1250"),
    "cp1251": ("windows-1251", "cp1251"),
    "cp1253": ("windows-1253", "cp1253"),
    "cp1255": ("windows-1255", "cp1255"),
    "cp1256": ("windows-1256", "cp1256"),
    "cp1257": ("windows-1257", "cp1257"),
    "cp1258": ("windows-1258", "cp1258"),
    "cp437": ("cp437", "ibm437"),
    "cp850": ("cp850", "ibm850"),
    "cp866": ("cp866", "ibm866"),
    "cp874": ("tis-620", "windows-874", "cp874", "iso-8859-11"),
    "koi8-r": ("koi8-r",),
    "koi8-u": ("koi8-u",),
    "mac-roman": ("macintosh", "x-mac-roman"),
    "gb18030": ("gb2312", "gbk", "gb18030", "x-gbk", "cp936", "euc-cn", "hz-gb-2312-8"),
    "hz": ("hz-gb-2312", "hz"),
    "big5hkscs": ("big5", "big5-hkscs", "cn-big5", "cp950"),
    "cp932": ("shift-jis", "shift_jis", "sjis", "x-sjis", "windows-31j", "cp932", "ms932"),
    "euc_jp": ("euc-jp",),
    "iso2022_jp_2": ("iso-2022-jp", "iso-2022-jp-2", "csiso2022jp", "iso-2022-jp-ms"),
    "cp949": ("euc-kr", "ks-c-5601-1987", "ks_c_5601-1987", "cp949", "uhc"),
    "iso2022_kr": ("iso-2022-kr",),
    "utf-7": ("utf-7", "unicode-1-1-utf-7"),
    "utf-16": ("utf-16",),
    "utf-16-le": ("utf-16le",),
    "utf-16-be": ("utf-16be",),
}
_CODECS = {claim: codec for codec, claims in _BY_CODEC.items() for claim in claims}


def decode(octets: bytes, charset: str = "") -> str:
    """Text, with U+FFFD for what cannot be read; without NULs and lone surrogates, lines ended by line feeds."""
    codec = _CODECS.get(charset.strip().lower(), "")
    if codec in {"", "utf-8"}:
        try:
            text = octets.decode("utf-8")
        except UnicodeDecodeError:
            text = octets.decode("cp1252" if not codec else "utf-8", "replace")
    else:
        text = octets.decode(codec, "replace")
    if not text.isprintable():
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
        text = text.encode("utf-8", "replace").decode()
    return text
