"""Mail between connected people, from the door to the hand-off: who may write, what goes, what waits, what ends."""

import re

import pytest
from sqlalchemy import delete, select

from outreach.domain.errors import NotFoundError
from outreach.mail import dkim
from outreach.mail.cleaning import Cleaned
from outreach.mail.relayed import Letter, compose
from outreach.mail.transport import Outcome, Parcel, Result
from outreach.services import connections
from outreach.services.incoming import accept
from outreach.services.intake.accept import Refusal
from outreach.services.intake.process import process_mails
from outreach.services.relaying import passing
from outreach.services.relaying.letting import WAITING_DAYS
from outreach.services.relaying.looking_after import KEPT_DAYS, look_after_relays
from outreach.services.relaying.showing import correspondence
from outreach.services.rights.erasure import destroy
from outreach.services.rights.erasures_file import Erased
from outreach.services.rights.held_with_others import connections_of
from outreach.store import suppressions
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.inbound import inbound_mail
from outreach.store.schema.people import contact, contact_key
from outreach.store.schema.relaying import relay_address, relayed
from tests.mail.names import Table
from tests.pipeline.conftest import Line
from tests.pipeline.relaying import ALICE, BOB, Pair, address_of, letter, read, words
from tests.services.connecting import connected, everything, requested

VERA = "vera@nowhere.example"
HIDDEN = "Ask carol@third.example for them.\n"


@pytest.fixture
def pair(line: Line) -> Pair:
    return Pair(line)


def logged(pair: Pair) -> str:
    with pair.ctx.db.reading() as conn:
        return "\n".join(f"{row.kind} {row.body}" for row in conn.execute(select(audit_entry)))


def test_what_one_writes_reaches_the_other_as_a_new_mail(pair: Pair) -> None:
    pair.write("Here are the seeds.\n\n-- \nAlice, alice@inviters.example\n", subject="Frön från mig")
    (mail,) = pair.sent()
    assert (mail.rcpt_to, mail.mail_from[:7]) == (BOB, "bounce+")
    found = read(mail)
    assert found["From"] == f"Alice Berg <{pair.to(pair.alice.person)}@in.localhost>"
    assert (found["To"], found["Subject"]) == (BOB, "Frön från mig")
    assert "Here are the seeds." in words(mail)
    assert b"inviters" not in mail.data
    (row,) = pair.rows()
    assert (row.state, row.octets > 100) == ("going", True)
    assert look_after_relays(pair.ctx) == 1
    (row,) = pair.rows()
    assert (row.state, row.outcome, row.words_box) == ("done", "passed", None)
    told = logged(pair)
    assert "relay.taken" in told
    assert "seeds" not in told
    assert "@" not in told


def test_who_shows_no_name_is_somebody(pair: Pair) -> None:
    pair.write("Thanks!\n", by=BOB)
    (mail,) = pair.sent()
    assert read(mail)["From"] == f"Somebody you are connected with <{pair.to(pair.bob.person)}@in.localhost>"
    assert b"Bob" not in mail.data
    connections.disclose(pair.ctx, pair.bob.actor, pair.ref, "name")
    pair.write("Thanks again!\n", by=BOB)
    (mail,) = pair.sent()
    assert read(mail)["From"] == f"Bob Lind <{pair.to(pair.bob.person)}@in.localhost>"


def test_answers_stay_in_one_thread_on_either_side(pair: Pair) -> None:
    first = letter(ALICE, pair.to(pair.bob.person), "One\n")
    assert pair.bring(first, pair.to(pair.bob.person)) is None
    process_mails(pair.ctx)
    (to_bob,) = pair.sent()
    his = {"In_Reply_To": read(to_bob)["Message-ID"], "References": read(to_bob)["Message-ID"]}
    pair.write("Two\n", by=BOB, **his)
    (to_alice,) = pair.sent()
    assert read(to_alice)["In-Reply-To"] == first["Message-ID"]
    hers = f"{first['Message-ID']} {read(to_alice)['Message-ID']} <stranger@elsewhere.example>"
    pair.write("Three\n", References=hers)
    (again,) = pair.sent()
    chain = read(again)["References"].split()
    assert chain[0] == read(to_bob)["Message-ID"]
    assert len(chain) == 2
    assert b"inviters" not in again.data
    assert "elsewhere" not in str(chain)


def test_nobody_else_gets_in_and_no_answer_tells_why(pair: Pair) -> None:
    to, other = pair.to(pair.bob.person), pair.to(pair.alice.person)
    before = everything(pair.ctx)
    forged = letter(ALICE, to, "Hi\n")
    del forged["Authentication-Results"]
    refusals = {
        "forged": pair.bring(forged, to),
        "stranger": pair.bring(letter("mallory@m.example", to, "Hi\n"), to, sender="mallory@m.example"),
        "the wrong side": pair.bring(letter(BOB, to, "Hi\n"), to, sender=BOB),
        "to oneself": pair.bring(letter(ALICE, other, "Hi\n"), other),
        "results from afar": pair.bring(letter(ALICE, to, "Hi\n"), to, ip="192.0.2.1", resolver=Table()),
    }
    assert {one and one.code for one in refusals.values()} == {550}
    assert len({one and one.text for one in refusals.values()}) == 1
    assert everything(pair.ctx) == before


def test_signatures_and_spf_open_the_door_from_afar(pair: Pair) -> None:
    to, key = pair.to(pair.bob.person), dkim.load_key(dkim.make_key("rsa"))
    signers = (dkim.Signer("inviters.example", "s1", key),)
    around = Letter("A", ALICE, f"{to}@in.localhost", "m1@x.example", 1_790_000_000, "<p>x</p>", signers=signers)
    octets = compose(around, Cleaned(subject="Hi", text="Hello\n"))
    keys = {("s1._domainkey.inviters.example", "TXT"): [dkim.dns_record(key)]}
    far = "192.0.2.1"
    marked = octets.replace(b"X-Loop: in.localhost\r\n", b"")  # not signed
    assert pair.bring(marked, to, sender="bounces@list.example", ip=far, resolver=Table(keys)) is None
    spf = Table({("inviters.example", "TXT"): ["v=spf1 ip4:192.0.2.1 -all"]})
    assert pair.bring(letter(ALICE, to, "Hi\n"), to, ip=far, resolver=spf) is None
    neighbour = pair.bring(letter(ALICE, to, "Ho\n"), to, sender="mallory@inviters.example", ip=far, resolver=spf)
    assert neighbour is not None  # SPF speaks for the domain alone
    unsure = pair.bring(letter(ALICE, to, "Ha\n"), to, ip=far, resolver=Table({}, frozenset({"inviters.example"})))
    assert unsure is not None
    assert unsure.code == 451


def test_any_spelling_of_ones_mailbox_is_ones_own(pair: Pair) -> None:
    pair.write("Hi\n", by=ALICE)
    to = pair.to(pair.bob.person)
    tagged = "Alice+phone@inviters.example"
    assert pair.bring(letter(tagged, to, f"From {tagged}\n"), to, sender=tagged) is None
    process_mails(pair.ctx)
    assert all(b"phone" not in mail.data and b"inviters" not in mail.data for mail in pair.sent())


def test_machines_and_circles_are_not_passed_on(pair: Pair) -> None:
    to = pair.to(pair.bob.person)
    report = pair.bring(letter(ALICE, to, "Undelivered\n"), to, sender="")
    circle = pair.bring(letter(ALICE, to, "Hi\n", X_Loop="in.localhost"), to)
    assert report is not None
    assert circle is not None
    assert (report.code, circle.text[:5]) == (550, "5.4.6")
    pair.write("I am away.\n", Auto_Submitted="auto-replied")
    assert pair.rows() == []
    assert pair.sent() == []
    (dropped,) = pair.line.entries("relay.dropped")
    assert dropped["reason"] == "automatic"


def test_what_was_passed_on_cannot_come_round_again(pair: Pair) -> None:
    pair.write("Hello\n")
    (mail,) = pair.sent()
    refused = pair.bring(mail.data, pair.to(pair.bob.person), sender=ALICE)
    assert refused is not None
    assert refused.text.startswith("5.4.6")


def test_a_day_has_its_limit_and_the_next_one_its_own(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "MOST_A_DAY", 2)
    for number in range(2):
        pair.write(f"{number}\n")
    to = pair.to(pair.bob.person)
    refused = pair.bring(letter(ALICE, to, "3\n"), to)
    assert refused is not None
    assert "tomorrow" in refused.text
    pair.write("The other side has its own.\n", by=BOB)
    monkeypatch.setattr(passing, "MOST_A_DAY", 50)
    monkeypatch.setattr(passing, "MOST_OCTETS_A_DAY", 500)
    assert pair.bring(letter(ALICE, to, "3\n"), to) == refused
    pair.line.pass_hours(24.1)
    pair.write("4\n")
    assert len(pair.rows()) == 4


def test_a_muted_reader_gets_nothing_and_all_of_it_later(pair: Pair) -> None:
    connections.mute(pair.ctx, pair.bob.actor, pair.ref)
    before = correspondence(pair.ctx, pair.alice.actor, pair.ref).mine
    pair.write("One\n")
    pair.write("Two\n")
    assert before == ()
    assert pair.sent() == []
    waits = correspondence(pair.ctx, pair.bob.actor, pair.ref)
    assert waits.waiting == 2
    assert {one.state for one in correspondence(pair.ctx, pair.alice.actor, pair.ref).mine} == {"taken"}
    with pair.ctx.db.reading() as conn:
        whose = {row.contact for row in conn.execute(select(audit_entry)) if row.kind == "relay.waiting"}
    assert whose == {pair.bob.person.ref}  # an answer about Alice's data does not tell her
    connections.unmute(pair.ctx, pair.bob.actor, pair.ref)
    assert sorted("One" in words(mail) for mail in pair.sent()) == [False, True]
    assert correspondence(pair.ctx, pair.bob.actor, pair.ref).waiting == 0


def test_a_mute_counts_for_what_is_on_its_way(pair: Pair) -> None:
    pair.write("Hello\n")
    connections.mute(pair.ctx, pair.bob.actor, pair.ref)
    assert pair.sent() == []
    connections.unmute(pair.ctx, pair.bob.actor, pair.ref)  # before anybody looked after it
    (mail,) = pair.sent()
    assert "Hello" in words(mail)


def test_what_waits_too_long_is_erased_and_its_writer_still_learns_nothing(pair: Pair) -> None:
    connections.mute(pair.ctx, pair.bob.actor, pair.ref)
    pair.write("Hello\n")
    pair.line.pass_hours(24 * WAITING_DAYS + 1)
    assert look_after_relays(pair.ctx) == 1
    (row,) = pair.rows()
    assert (row.state, row.outcome, row.words_box) == ("done", "expired", None)
    assert [one.state for one in correspondence(pair.ctx, pair.alice.actor, pair.ref).mine] == ["taken"]
    connections.unmute(pair.ctx, pair.bob.actor, pair.ref)
    assert pair.sent() == []
    pair.line.pass_hours(24 * KEPT_DAYS)
    look_after_relays(pair.ctx)
    assert pair.rows() == []


def test_an_end_counts_for_the_very_next_mail_and_refuses_politely(pair: Pair) -> None:
    pair.write("On its way\n")
    pair.write(HIDDEN)
    connections.end(pair.ctx, pair.bob.actor, pair.ref)
    assert {row.words_box for row in pair.rows()} == {None}
    assert pair.sent() == []
    to = pair.to(pair.bob.person)
    refused = pair.bring(letter(ALICE, to, "Still there?\n"), to)
    assert isinstance(refused, Refusal)
    assert (refused.code, "has ended" in refused.text) == (550, True)
    assert correspondence(pair.ctx, pair.alice.actor, pair.ref).write_to == ""
    again = connected(pair.ctx, pair.bob, pair.alice.person)
    assert address_of(pair.line.world, again, pair.bob.person) != to


def test_nobody_is_reached_at_an_address_nobody_was_given(pair: Pair) -> None:
    before = everything(pair.ctx)
    for local_part in (f"with-{'a' * 26}", "with-", f"with-{'1' * 26}", pair.to(pair.bob.person)[:-1]):
        refused = pair.bring(letter(ALICE, local_part, "Hi\n"), local_part)
        assert refused is not None
        assert refused.text.startswith("5.1.1")
    assert everything(pair.ctx) == before


def test_words_lie_under_their_writers_key_alone(pair: Pair) -> None:
    pair.write("The secret of the roses.\n")
    with pair.ctx.db.reading() as conn:
        rows = [*conn.execute(select(relayed)), *conn.execute(select(inbound_mail))]
    assert all(b"roses" not in bytes(value) for row in rows for value in row if isinstance(value, bytes))
    with pair.ctx.db.transaction() as conn:
        conn.execute(delete(contact_key).where(contact_key.c.contact == pair.alice.person.id))
    assert pair.sent() == []


def test_every_connection_has_two_addresses_and_no_two_are_alike(pair: Pair) -> None:
    other = connected(pair.ctx, pair.line.world.member(), pair.alice.person)
    with pair.ctx.db.reading() as conn:
        rows = list(conn.execute(select(relay_address)))
    assert len({row.local_part for row in rows}) == 4
    assert all(re.fullmatch("with-[a-z2-7]{26}", row.local_part) for row in rows)
    mine = correspondence(pair.ctx, pair.alice.actor, other).write_to
    assert mine.removesuffix("@in.localhost") != address_of(pair.line.world, other, pair.alice.person)
    with pytest.raises(NotFoundError):
        correspondence(pair.ctx, pair.bob.actor, other)


def test_an_answer_about_ones_data_tells_of_ones_mails_and_not_what_the_other_does(pair: Pair) -> None:
    connections.mute(pair.ctx, pair.bob.actor, pair.ref)
    pair.write("Hello\n")
    pair.write(HIDDEN, subject="Where to ask")
    with pair.ctx.db.reading() as conn:
        keys = ContactKeys(pair.ctx.keyring, conn)
        (hers,) = connections_of(conn, keys, pair.alice.person.id)
        (his,) = connections_of(conn, keys, pair.bob.person.id)
    first, second = hers["mails_you_wrote"]
    assert (first["waits_for_you"], first["words"], second["waits_for_you"]) == (False, None, True)
    assert (second["subject"], "carol" in second["words"]) == ("Where to ask", False)
    assert his["mails_you_wrote"] == []


def test_who_is_erased_leaves_no_words_behind(pair: Pair) -> None:
    pair.write("Hello\n")
    pair.write(HIDDEN)
    person = pair.alice.person
    with pair.ctx.db.transaction() as conn:
        now = pair.ctx.db.now(conn)
        connections.end_all(conn, pair.ctx, now, person.id, pair.alice.actor)
        destroy(conn, pair.ctx, now, person.id, Erased(now, person.ref, b"k" * 32, 0), reason="asked")
    assert {(row.words_box, row.origin_box, row.origin_key) for row in pair.rows()} == {(None, None, None)}
    assert pair.sent() == []


def test_who_has_no_account_is_told_where_to_write_and_how_to_end(line: Line) -> None:
    alice = line.world.member(ALICE, "Alice Berg")
    vera = line.world.person(VERA)
    ref = accept(line.ctx, alice.actor, requested(line.ctx, alice, vera), show_name=False, show_address=False)
    pair = Pair.of(line, alice, ref)
    (told,) = pair.sent()
    to_alice, to_vera = pair.to(alice.person), pair.to(vera)
    assert f"{to_alice}@in.localhost" in words(told)
    assert pair.bring(letter(VERA, to_alice, "Hello\n"), to_alice, sender=VERA) is None
    assert pair.bring(letter(ALICE, to_vera, "Welcome\n"), to_vera) is None
    process_mails(pair.ctx)
    came = {mail.rcpt_to: mail for mail in pair.sent()}
    assert f"/me/connections/{ref.hex()}" in words(came[ALICE])
    assert b"nowhere" not in came[ALICE].data
    found = re.search(r"/connection/([\w.-]+)/end", words(came[VERA]))
    assert found is not None
    quoted = "".join(f"> {one}\n" for one in words(came[VERA]).splitlines())
    answer = letter(VERA, to_alice, f"Yes.\n\n{quoted}")
    assert pair.bring(answer, to_alice, sender=VERA) is None
    process_mails(pair.ctx)
    (back,) = pair.sent()
    assert found[1] not in words(back)  # her link is not for Alice
    connections.end_by_link(pair.ctx, found[1])
    refused = pair.bring(letter(ALICE, to_vera, "Hello?\n"), to_vera)
    assert refused is not None


@pytest.mark.parametrize(("code", "is_bad_address"), [(550, True), (554, False), (None, False)])
def test_who_wrote_a_mail_that_failed_is_told(pair: Pair, code: int | None, is_bad_address: bool) -> None:
    def fails(parcel: Parcel) -> Outcome:
        if parcel.rcpt_to == BOB:
            return Outcome(parcel.message_id, Result.FAILED, code=code, bad_address=is_bad_address)
        return Outcome(parcel.message_id, Result.SENT, code=250)

    pair.line.relay.script = fails
    pair.write("Here are the seeds.\n")
    assert pair.sent() == []
    look_after_relays(pair.ctx)
    (told,) = pair.sent()
    assert (told.rcpt_to, read(told)["Subject"]) == (ALICE, "Your mail could not be delivered")
    assert "bob" not in words(told).lower()
    assert read(told)["Auto-Submitted"] == "auto-generated"
    look_after_relays(pair.ctx)
    assert pair.sent() == []
    assert [one.state for one in correspondence(pair.ctx, pair.alice.actor, pair.ref).mine] == ["failed"]


def test_of_what_its_reader_does_not_get_its_writer_is_told_nothing(pair: Pair) -> None:
    pair.write("Here are the seeds.\n")
    with pair.ctx.db.transaction() as conn:
        key = conn.execute(select(contact.c.address_key).where(contact.c.id == pair.bob.person.id)).scalar_one()
        suppressions.put(conn, 1, [suppressions.Bar(key, "address", "complaint", "nobody")])
    assert pair.sent() == []
    look_after_relays(pair.ctx)
    assert pair.sent() == []
