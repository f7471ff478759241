"""Addresses that mail comes back to: nobody makes one but us, and no server's habits break one."""

import secrets

import pytest

from outreach.domain.errors import SettingsError
from outreach.domain.inbound_addresses import SERVERS, Door, InboundAddresses
from outreach.domain.keys import TokenKey

OLD, NEW = TokenKey("old", b"o" * 32), TokenKey("new", b"n" * 32)
REF = bytes(range(16))


@pytest.mark.parametrize("door", Door)
def test_an_address_is_read_at_its_door_whatever_its_case(door: Door) -> None:
    addresses = InboundAddresses([NEW])
    local = f"{door}+{addresses.servers_ticket(REF) if door in SERVERS else addresses.ticket(REF)}"

    assert len(local) <= 64
    assert InboundAddresses([NEW]).read(local) == (door, REF)
    assert InboundAddresses([NEW]).read(local.upper()) == (door, REF)


@pytest.mark.parametrize("door", SERVERS)
def test_who_holds_peoples_ticket_speaks_for_no_server(door: Door) -> None:
    addresses = InboundAddresses([OLD, NEW])
    assert addresses.read(f"{door}+{addresses.ticket(REF)}") == (Door.REPLY, REF)
    assert addresses.read(f"{door}+{InboundAddresses([OLD]).servers_ticket(REF)}") == (door, REF)
    for peoples in (Door.REPLY, Door.STOP):
        assert addresses.read(f"{peoples}+{addresses.servers_ticket(REF)}") is None


def test_no_changed_address_is_ours() -> None:
    addresses = InboundAddresses([NEW])
    ticket = addresses.ticket(REF)
    for position in range(len(ticket)):
        other = "0" if ticket[position] != "0" else "1"
        assert addresses.read(f"bounce+{ticket[:position]}{other}{ticket[position + 1 :]}") is None
    forged = (secrets.token_bytes(16) + bytes.fromhex(ticket)[16:]).hex()
    for local in (
        f"bounce+{forged}",
        "bounce+",
        ticket,
        f"other+{ticket}",
        f"bounce+{ticket}0",
        "reply",
        "résumé+" + ticket,
    ):
        assert addresses.read(local) is None


def test_a_key_that_rotated_still_reads_and_one_that_leaked_does_not() -> None:
    ticket = InboundAddresses([OLD]).ticket(REF)

    assert InboundAddresses([OLD, NEW]).read(f"stop+{ticket}") == (Door.STOP, REF)
    leaked = TokenKey("old", OLD.secret, compromised=True)
    assert InboundAddresses([leaked, NEW]).read(f"stop+{ticket}") is None
    with pytest.raises(SettingsError):
        InboundAddresses([leaked])
