"""How a ref (16 bytes) stands in a path: 32 hexadecimal digits. Anything else is no page of ours."""

from werkzeug.routing import BaseConverter


class RefConverter(BaseConverter):
    """`<ref:sender>` in a rule gives the view bytes."""

    regex = "[0-9a-f]{32}"

    def to_python(self, value: str) -> bytes:
        return bytes.fromhex(value)

    def to_url(self, value: bytes | str) -> str:
        return value if isinstance(value, str) else value.hex()
