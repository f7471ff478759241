"""QR codes as SVG without script or style: inline for a page, or whole as a file to print (ISO/IEC 18004)."""

import segno
from markupsafe import Markup

_SCALE = 5
_QUIET_ZONE = 4  # modules left free around a code, as the standard wants


def qr_svg(text: str, *, title: str) -> Markup:
    """The code of `text` for a page: dark on white in either colour scheme; `title` is its name, `text` its words."""
    return _drawn(text, title, is_file=False)


def qr_file(text: str, *, title: str) -> bytes:
    """The same as a document of its own, UTF-8."""
    return _drawn(text, title, is_file=True).encode()


def _drawn(text: str, title: str, *, is_file: bool) -> Markup:
    drawn = segno.make_qr(text, error="m").svg_inline(
        scale=_SCALE,
        border=_QUIET_ZONE,
        dark="#000",
        light="#fff",
        title=title,
        desc=text,
        svgclass="qr",
        lineclass=None,
    )
    space = ' xmlns="http://www.w3.org/2000/svg"' if is_file else ""
    return Markup(drawn.replace("<svg ", f'<svg{space} role="img" ', 1))  # noqa: S704  segno escapes title and desc
