"""Durable budgets of the mails a stranger's typing can cause: by mailbox and day, by network and hour, and in total.

A network pays for every request, mailed or not, and waits before anybody is looked up: otherwise the fate of its next
one would tell whether the last address is barred, known or was asked before.
"""

from sqlalchemy import Connection

from outreach.services.context import Context
from outreach.store import requests

_EVERYBODY = bytes(32)
_HOUR = 3_600_000_000


class Budgets:
    """The budgets as one transaction of the engine sees them."""

    def __init__(self, conn: Connection, ctx: Context, now: int) -> None:
        self._conn, self._settings, self._now = conn, ctx.settings, now
        self._full: dict[bytes, int] = {}

    def is_spent(self, mailbox_key: bytes) -> bool:
        """Whether this mailbox got all it may get in 24 hours, whoever asked and whatever for."""
        spent = requests.spent(self._conn, mailbox_key, self._now - requests.DAY)
        return spent >= self._settings.confirmations_per_mailbox

    def wait(self, network: bytes | None) -> int:
        """0 while there is room in total and for `network` (None: our own staff), else when there will be."""
        budgets = [(_EVERYBODY, self._settings.confirmations_total)]
        if network is not None:
            budgets.append((network, self._settings.confirmations_per_network))
        return max(self._until(key, limit) for key, limit in budgets)

    def settle(self, network: bytes) -> None:
        """Take a place of the network: once for every request that is settled, so that what is left tells nothing."""
        requests.spend(self._conn, self._now, {network})

    def spend(self, mailbox_key: bytes) -> None:
        """Take a place of the mailbox and of the total, for a mail."""
        requests.spend(self._conn, self._now, {mailbox_key, _EVERYBODY})

    def _until(self, key: bytes, limit: int) -> int:
        if key not in self._full and requests.spent(self._conn, key, self._now - _HOUR) >= limit:
            self._full[key] = requests.frees_at(self._conn, key, self._now - _HOUR, limit) + _HOUR
        return self._full.get(key, 0)
