"""The way back: a function an area, each with its own tables."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _inbound()
    _conversations()
    _relaying()
    _room()
    _observations()
    _desk()


def _inbound() -> None:
    pass


def _conversations() -> None:
    pass


def _relaying() -> None:
    pass


def _room() -> None:
    pass


def _observations() -> None:
    pass


def _desk() -> None:
    pass
