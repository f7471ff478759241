"""A mail of which everything but one reader's values is octets already; writing a letter is joining them.

Built once for many letters, or for one. The body is multipart/alternative (RFC 2046 §5.1.4), both parts
quoted-printable; what signing needs of the fixed octets is worked out here too.
"""

import hashlib
from collections.abc import Sequence

from outreach.mail import dkim, quoted
from outreach.mail.lines import Smooth, is_smooth
from outreach.mail.quoted import Gap, Part

# "=" never stands before "_" in quoted-printable text, so no part can hold the boundary (RFC 2045 §6.7).
_BOUNDARY = b"=_outreach"
_PART = (
    b"--" + _BOUNDARY + b"\r\nContent-Type: text/%s; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
)
_PLAIN, _HTML, _END = _PART % b"plain", _PART % b"html", b"--" + _BOUNDARY + b"--\r\n"
_MIME = (b"MIME-Version: 1.0", b'Content-Type: multipart/alternative; boundary="' + _BOUNDARY + b'"')


class Skeleton:
    """`fields`: header fields in their order, whole ones without last CRLF, and names of those that vary.

    `text` and `html` are the two parts of the body, with gaps where values go.
    """

    def __init__(
        self, fields: Sequence[bytes | str], text: Sequence[Part], html: Sequence[Part], signers: Sequence[dkim.Signer]
    ) -> None:
        fields = [*fields, *_MIME]
        self._head: list[bytes] = []
        self._varying: list[int] = []
        for one in fields:
            if isinstance(one, str):
                self._varying.append(len(self._head))
            self._head += [b"" if isinstance(one, str) else one, b"\r\n"]
        pieces = [b""]
        self._gaps: list[tuple[int, int]] = []
        for part in (_PLAIN, *_part(text), _HTML, *_part(html), _END):
            if isinstance(part, Gap):
                self._gaps.append((len(pieces) - 1, part.key))
                pieces += [b"", b""]
            else:
                pieces[-1] += part
        self._start, *self._body = pieces
        self._is_smooth = is_smooth(b"x".join(pieces))
        self._never_empty = [
            key for place, key in self._gaps if pieces[place + 2][:1] == b"." and pieces[place][-1:] in {b"", b"\n"}
        ]  # else the dot behind it would be the first of its line
        self._signing = dkim.Signing(signers, fields) if signers else None
        self._start_hash = hashlib.sha256(self._start)

    def write(self, varying: Sequence[bytes], values: Sequence[bytes], second: int) -> bytes:
        """The whole message, CRLF, lines of at most 998 octets (76 in the body).

        `varying`: the fields that vary, whole, in their order; `values`: one for each key, as `quoted.fit` gives them.
        """
        head = self._head.copy()
        for place, one in zip(self._varying, varying, strict=True):
            head[place] = one
        body = self._body.copy()
        for place, key in self._gaps:
            body[place] = values[key]
        rest = b"".join(body)
        signatures = b""
        if self._signing is not None:
            whole_hash = self._start_hash.copy()
            whole_hash.update(rest)
            signatures = self._signing.sign(varying, whole_hash.digest(), second)
        header = b"".join((signatures, *head))
        whole = b"".join((header, b"\r\n", self._start, rest))
        return Smooth(whole) if self._is_smooth and self._stay_smooth(values) and is_smooth(header) else whole

    def _stay_smooth(self, values: Sequence[bytes]) -> bool:
        """Whether these bring no line break, and no dot to the beginning of a line."""
        if any(b"\n" in one or b"\r" in one or one.startswith(b".") for one in values):
            return False
        return all(values[key] for key in self._never_empty)


def _part(parts: Sequence[Part]) -> list[bytes | Gap]:
    """Laid out, and ending in a line break."""
    ends = isinstance(parts[-1], str) and parts[-1].endswith(("\n", "\r")) if parts else False
    return quoted.lay_out(parts if ends else [*parts, "\n"])
