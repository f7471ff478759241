"""What stands in the variable parts of our routes: real references, tokens and names from the lived house.

A new kind of argument needs a line here; until it has one, the guards fail and name it.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import ColumnElement, Connection, Table, insert, select, update
from werkzeug.routing import Rule

from outreach.domain.actors import RECIPIENT, Actor, Role
from outreach.domain.invitation import Way
from outreach.domain.policies import Name, defaults
from outreach.domain.receipts import EVENTS
from outreach.domain.tokens import Purpose
from outreach.mail.cleaning import Cleaned, Doubt
from outreach.mail.inbound.incoming import Attachment, Incoming, Kind
from outreach.services.context import Context
from outreach.services.conversations.incoming import take_reply
from outreach.services.officer.register import SECTIONS
from outreach.services.officer.unknown import see_unknown
from outreach.services.policies.asking import Act, Subject, ask_in
from outreach.services.relaying.words import to_facts
from outreach.services.rights.claims import hold
from outreach.services.rights.requests import open_request
from outreach.services.rights.results import make_result
from outreach.store import address_moves, connections, relaying, requests
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import find_by_code, find_by_id
from outreach.store.inbound import Told, add_reports
from outreach.store.public_answers import add as add_public_answer
from outreach.store.rights import add_link as add_own_link
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import confirmation, consent, consent_event, topic
from outreach.store.schema.conversations import conversation_file, public_answer
from outreach.store.schema.inbound import inbound_report
from outreach.store.schema.members import appeal, connect_link, connection, invitation, member
from outreach.store.schema.organisation import sender, staff, staff_session
from outreach.store.schema.people import contact, contact_key, suppression
from outreach.store.schema.policies import approval
from outreach.store.schema.rights import claims_hold
from outreach.store.staff import add_link
from outreach.store.suppressions import Bar, put
from tests.services.unknown_mails import lost_in_the_air

ROOT = Path(__file__).parents[2]
Values = dict[str, Any]

# What addresses of ours need behind their question mark.
_QUERIES: dict[str, Values] = {"published_log.inclusion": {"index": 0}, "published_log.consistency": {"old": 1}}


@dataclass
class Material:
    """Fills rules. `by_names` goes by the names of a rule's arguments, `tokens` by where a token's link leads."""

    by_names: dict[frozenset[str], list[Values]]
    tokens: dict[str, list[str]]

    def fill(self, app: Flask, rule: Rule) -> list[str]:
        """Paths of `rule`. Raises LookupError when nothing here suits its arguments."""
        with app.test_request_context(base_url="http://127.0.0.1"):
            more = _QUERIES.get(rule.endpoint, {})
            return [app.url_for(rule.endpoint, **values, **more) for values in self._values(rule)]

    def _values(self, rule: Rule) -> list[Values]:
        if "token" in rule.arguments and rule.arguments == {"token"}:
            start = rule.rule.split("/")[1]
            if start not in self.tokens:
                raise LookupError(f"{rule.rule}: tests/guards/material.py holds no token for /{start}/")
            return [{"token": token} for token in self.tokens[start]]
        if rule.arguments not in map(set, self.by_names):
            raise LookupError(f"{rule.rule}: tests/guards/material.py knows nothing for {sorted(rule.arguments)}")
        return self.by_names[frozenset(rule.arguments)]


def gather(ctx: Context) -> Material:
    """Look into the store, and make the one-time links that are not there."""
    groups = _unknown_groups(ctx)
    with ctx.db.transaction() as conn:
        tokens = _tokens(ctx, conn)
        asked = _request(ctx, conn)
        tokens["rights"] = tokens["room"] = [
            ctx.tokens.issue(Purpose.RIGHTS, add_own_link(conn, ctx.db.now(conn), asked.contact), ctx.db.now(conn))
        ]
        written = _conversation(ctx, conn, asked)
        waiting = _held_mail(ctx, conn)
        tokens["held-mail"] = [ctx.tokens.issue(Purpose.HELD, waiting["mail"], ctx.db.now(conn))]
        tokens["moving"], tokens["keep"] = _moves(ctx, conn, asked)
        topics = _refs(conn, topic)
        pair = conn.execute(
            select(contact.c.ref, topic.c.ref)
            .join(consent, consent.c.contact == contact.c.id)
            .join(topic, topic.c.id == consent.c.topic)
            .order_by(contact.c.id)
        ).first()
        assert pair is not None
        slugs = list(conn.execute(select(topic.c.slug)).scalars())
        by_names: dict[frozenset[str], list[Values]] = {
            frozenset(): [{}],
            frozenset({"topic"}): [{"topic": ref} for ref in topics],
            frozenset({"campaign"}): [{"campaign": ref} for ref in _refs(conn, campaign)],
            frozenset({"sender"}): [{"sender": ref} for ref in _refs(conn, sender)],
            frozenset({"member"}): [{"member": ref} for ref in _refs(conn, staff)[:2]],
            frozenset({"session"}): [{"session": ref} for ref in _refs(conn, staff_session)[:1]],
            frozenset({"contact"}): [{"contact": ref} for ref in (pair[0], *_contacts(conn))],
            frozenset({"contact", "topic"}): [{"contact": pair[0], "topic": pair[1]}],
            frozenset({"bar"}): [{"bar": ref} for ref in _bar(conn)],
            frozenset({"report"}): [{"report": ref} for ref in _reported(conn)],
            frozenset({"message"}): [{"message": ref} for ref in _refs(conn, message)[:1]],
            frozenset({"invitation"}): [{"invitation": ref} for ref in _refs(conn, invitation)[:3]],
            frozenset({"token", "choice"}): _choices(tokens["invitation"]),
            frozenset({"incoming"}): [{"incoming": ref} for ref in _refs(conn, invitation)[:3]],
            frozenset({"connection"}): [{"connection": ref} for ref in _refs(conn, connection)[:3]],
            frozenset({"connection", "mail"}): [waiting],
            frozenset({"link"}): [{"link": ref} for ref in _refs(conn, connect_link)[:3]],
            frozenset({"inviter"}): [{"inviter": ref} for ref in _refs(conn, member)],
            frozenset({"inviter", "appeal"}): _appeals(conn),
            frozenset({"asked"}): [{"asked": asked.ref}],
            frozenset({"asked", "act"}): [
                {"asked": asked.ref, "act": act} for act in ("identity", "carry-out", "result")
            ],
            frozenset({"hold"}): [{"hold": _hold(ctx, conn, asked)}],
            frozenset({"token", "asked"}): [{"token": token, "asked": asked.ref} for token in tokens["rights"][:1]],
            frozenset({"token", "topic"}): [{"token": tokens["room"][0], "topic": _agreed(conn, asked)}],
            frozenset({"token", "talk"}): [{"token": tokens["room"][0], "talk": written[0]["conversation"]}],
            frozenset({"conversation"}): [{"conversation": one["conversation"]} for one in written],
            frozenset({"conversation", "file"}): written,
            frozenset({"answer"}): [{"answer": ref} for ref in _public_answers(ctx, conn)],
            frozenset({"level", "place"}): [{"level": 0, "place": "000"}, {"level": 1, "place": "000.p/1"}],
            frozenset({"place"}): [{"place": "000"}],
            frozenset({"slug"}): [{"slug": slug} for slug in slugs],
            frozenset({"key"}): [{"key": key} for key in _letters(ctx)],
            frozenset({"key", "act"}): [{"key": key, "act": "spam"} for key in _letters(ctx)],
            frozenset({"policy"}): [{"policy": str(name)} for name in Name],
            frozenset({"approval"}): [{"approval": ref} for ref in _approvals(conn)],
            frozenset({"group"}): [{"group": key} for key in groups],
            frozenset({"entry"}): [{"entry": entry} for entry in (1, 2)],
            frozenset({"search"}): [{"search": b"s" * 16}],
            frozenset({"section"}): [{"section": section} for section in SECTIONS],
            frozenset({"filename"}): [{"filename": path.name} for path in (ROOT / "static").iterdir()],
        }
    return Material(by_names, tokens)


def _unknown_groups(ctx: Context) -> list[bytes]:
    """A mail that was never answered, and the group an officer sees it in."""
    with ctx.db.reading() as conn:
        code = conn.execute(select(contact.c.code).where(contact.c.address_box.is_not(None))).scalars().first()
        person = find_by_code(conn, code or "")
    assert person is not None
    lost_in_the_air(ctx, [person])
    officer = Actor("staff:guards", frozenset({Role.OFFICER}))
    return [group.key for group in see_unknown(ctx, officer).groups]


def rules(app: Flask) -> Iterator[Rule]:
    """Every rule of ours; files that Bootstrap-Flask brings are the library's."""
    yield from (rule for rule in app.url_map.iter_rules() if rule.endpoint != "bootstrap.static")


def _refs(conn: Connection, table: Table) -> list[bytes]:
    return list(conn.execute(select(table.c.ref).order_by(table.c.id)).scalars())


def _contacts(conn: Connection) -> list[bytes]:
    """A person of each fate, the erased among them."""
    found: list[bytes] = []
    for state in ("withdrawn", "paused", "none"):
        query = select(contact.c.ref).join(consent, consent.c.contact == contact.c.id).where(consent.c.state == state)
        found += conn.execute(query.limit(1)).scalars().all()
    return found


def _bar(conn: Connection) -> list[bytes]:
    put(conn, 1, [Bar(b"b" * 32, "mailbox", "never", "officer", "never write to me again")])
    stands = select(suppression.c.ref).where(suppression.c.key == b"b" * 32, suppression.c.lifted.is_(None))
    return list(conn.execute(stands).scalars())


def _reported(conn: Connection) -> list[bytes]:
    """What was reported of somebody's mail."""
    sent = conn.execute(select(message.c.id).where(message.c.state == "sent").order_by(message.c.id)).scalars().first()
    add_reports(conn, 1, [Told(message=sent or 0, kind="delay", status="4.4.1", words="still tries")])
    return list(conn.execute(select(inbound_report.c.ref)).scalars())


def _approvals(conn: Connection) -> list[bytes]:
    """A request of each kind, made where nobody has asked yet."""
    if not _refs(conn, approval):
        asker = conn.execute(select(staff.c.id, staff.c.ref)).first()
        person = conn.execute(select(contact.c.ref).order_by(contact.c.id)).scalars().first()
        one = conn.execute(select(campaign.c.ref).order_by(campaign.c.id)).scalars().first()
        assert asker is not None
        actor = Actor(f"staff:{asker.ref.hex()}", frozenset({Role.OFFICER}), asker.id)
        bound = {"content": "", "kind": "informational", "topic": "", "segment": "{}", "most": 9}
        value = dict(defaults(Name.NOTICE))
        subjects = (
            (Act.CAMPAIGN, Subject(one, bound, {"reaches": 8, "later": 0, "over": 5})),
            (Act.REVEAL, Subject(person, {"by": actor.name})),
            (
                Act.POLICY,
                Subject(
                    None,
                    {"name": "notice", "value": value, "start": None, "base": 0},
                    {"before": value, "people": 9, "notice_days": 14, "since": 1},
                ),
            ),
        )
        for act, subject in subjects:
            ask_in(conn, 1_790_000_000_000_000, actor, act, subject, "for the crawl to see")
    return _refs(conn, approval)


def _tokens(ctx: Context, conn: Connection) -> dict[str, list[str]]:
    now = ctx.db.now(conn)

    def issue(purpose: Purpose, *refs: bytes | None) -> list[str]:
        return [ctx.tokens.issue(purpose, ref, now) for ref in refs if ref is not None]

    def mail(*which: ColumnElement[bool]) -> bytes | None:
        return conn.execute(select(message.c.ref).where(*which).order_by(message.c.id.desc())).scalars().first()

    def question(*which: ColumnElement[bool]) -> bytes | None:
        about = confirmation.c.about == "topics"
        return (
            conn.execute(select(confirmation.c.ref).where(about, *which).order_by(confirmation.c.id)).scalars().first()
        )

    sent = message.c.state == "sent"
    mails = [mail(sent, message.c.origin == "campaign"), mail(sent, message.c.origin == "confirmation")]
    mails += [_mail_of(conn, state) for state in ("withdrawn", "paused", "expired")]
    others = [mail(message.c.origin == one) for one in ("notice", "invitation", "test", "reply")]
    others.append(mail(message.c.origin == "campaign", message.c.state == "withheld"))
    answers = [confirmation.c.answer.is_(None), *(confirmation.c.answer == one for one in ("confirmed", "declined"))]
    hired = conn.execute(select(staff.c.id)).scalars().first()
    return {
        "stop": issue(Purpose.STOP, *mails),
        "why": issue(Purpose.WHY, *mails, *others),
        "look": issue(Purpose.HIDDEN, question()),
        "confirm": issue(Purpose.CONFIRM, *(question(answer) for answer in answers)),
        "members": issue(Purpose.ACCOUNT, _account_asked(conn, now)),
        "invitation": issue(Purpose.INVITATION, *_invitations(conn, Way.MAIL, Way.LINK)),
        "hand": issue(Purpose.HAND, *_invitations(conn, Way.HAND)),
        "connection": [ctx.tokens.issue(Purpose.INVITATION, ref, settled) for ref, settled in _told(conn)],
        "connect": issue(Purpose.CONNECT, *_asked_through_links(conn)),
        "receipt": issue(Purpose.RECEIPT, *_changed(conn)),
        "password": issue(Purpose.STAFF_PASSWORD, _one_time(conn, Purpose.STAFF_PASSWORD, hired, now)),
        "set-up": issue(Purpose.SET_UP, _one_time(conn, Purpose.SET_UP, None, now)),
    }


def _request(ctx: Context, conn: Connection) -> Any:
    """A request for access by somebody who agreed to something, answered."""
    now = ctx.db.now(conn)
    whose = conn.execute(select(consent.c.contact).where(consent.c.state == "granted").order_by(consent.c.contact))
    person = find_by_id(conn, whose.scalars().first() or 0)
    assert person is not None
    row = open_request(conn, ctx, now, person, "access", via="link", actor=RECIPIENT, words={"asked": "by letter"})
    make_result(conn, ctx, now, person, row)
    return row


def _hold(ctx: Context, conn: Connection, asked: Any) -> bytes:
    now = ctx.db.now(conn)
    hold(conn, ctx, now, asked.contact, b"c" * 16, now + 1)
    return bytes(conn.execute(select(claims_hold.c.ref)).scalars().one())


def _moves(ctx: Context, conn: Connection, asked: Any) -> tuple[list[str], list[str]]:
    """Consents of the same person on their way to another address: the links in the two mails about it."""
    now = ctx.db.now(conn)
    known = address_moves.of_contact(conn, asked.contact)
    ref = known[0].ref if known else _move(ctx, conn, asked, now)
    row = address_moves.by_ref(conn, ref)
    question = requests.confirmation_by_id(conn, row.confirmation if row is not None else 0)
    assert question is not None
    return [ctx.tokens.issue(Purpose.MOVE, question.ref, now)], [ctx.tokens.issue(Purpose.KEEP, ref, now)]


def _move(ctx: Context, conn: Connection, asked: Any, now: int) -> bytes:
    box = ContactKeys(ctx.keyring, conn).seal(asked.contact, {"address": "elsewhere@new.example"})
    stranger = select(contact.c.id).where(contact.c.id != asked.contact, contact.c.address_box.is_not(None))
    target = conn.execute(stranger.order_by(contact.c.id)).scalars().first() or 0
    later = {"requested": now, "created": now, "expires": now + 3_600_000_000}
    question = requests.add_confirmation(conn, contact=target, about="address", locale="en", network=bytes(32), **later)
    values = {"contact": asked.contact, "target": target, "confirmation": question, "network": bytes(32)}
    times = {"asked": now, "expires": now + 3_600_000_000, "due": now + 3_600_000_000}
    return address_moves.add(conn, **values, **times, asked_box=box)


def _agreed(conn: Connection, asked: Any) -> bytes:
    """A topic the same person agreed to."""
    query = select(topic.c.ref).join(consent, consent.c.topic == topic.c.id).where(consent.c.contact == asked.contact)
    return bytes(conn.execute(query.where(consent.c.state == "granted").order_by(topic.c.id)).scalars().first() or b"")


def _conversation(ctx: Context, conn: Connection, asked: Any) -> list[Values]:
    """Somebody's reply to a mail, with a file; addresses stand in all of it."""
    person = find_by_id(conn, asked.contact)
    mine = (message.c.contact == asked.contact, message.c.origin == "campaign")
    mail = conn.execute(select(message.c.ref).where(*mine).order_by(message.c.id)).scalars().first()
    assert person is not None and mail is not None
    words = "Do ask somebody.private@unheard.example too"
    files = (Attachment("somebody.private@unheard.example.txt", "text/plain", b"seeds"),)
    incoming = Incoming(kind=Kind.REPLY, subject=words, text=words, quoted=words, attachments=files)
    now = ctx.db.now(conn)
    ref = take_reply(conn, ctx, now, message=mail, person=person, incoming=incoming, mail=1)
    file = conn.execute(select(conversation_file.c.ref).order_by(conversation_file.c.id.desc())).scalars().first()
    return [{"conversation": ref, "file": file}]


def _public_answers(ctx: Context, conn: Connection) -> list[bytes]:
    """A draft, and one that everybody may read."""
    about = conn.execute(select(topic.c.id).order_by(topic.c.id)).scalars().first()
    author = conn.execute(select(staff.c.id)).scalars().first()
    words = {"locale": "en", "title": "Fewer mails", "said": "Many found it too much.", "done": "We send half as many."}
    now = ctx.db.now(conn)
    refs = [add_public_answer(conn, now, topic=about, author=author, since=1, **words) for _ in range(2)]
    shown = update(public_answer).where(public_answer.c.ref == refs[0])
    conn.execute(shown.values(published=now, critical=7, unanswered=3))
    return refs


def _appeals(conn: Connection) -> list[Values]:
    query = select(member.c.ref, appeal.c.ref.label("appeal")).join(appeal, appeal.c.member == member.c.id)
    return [{"inviter": row.ref, "appeal": row.appeal} for row in conn.execute(query)]


def _account_asked(conn: Connection, now: int) -> bytes:
    """A request for an account that nobody has yet."""
    ref = secrets.token_bytes(16)
    stranger = select(contact.c.id).where(contact.c.id.not_in(select(member.c.contact))).order_by(contact.c.id)
    values = {"contact": conn.execute(stranger).scalars().first(), "about": "account", "locale": "en", "ref": ref}
    times = {"requested": now, "created": now, "expires": now + 3_600_000_000}
    conn.execute(insert(confirmation).values(**values, **times, network=bytes(32)))
    return ref


def _held_mail(ctx: Context, conn: Connection) -> Values:
    """A mail between two people that waits for its writer."""
    now = ctx.db.now(conn)
    live = connections.live_of(conn, conn.execute(select(contact_key.c.contact)).scalars().all())[0]
    address = relaying.to_write_to(conn, live.id, live.low)
    assert address is not None
    mail = Cleaned(subject="Hello", text="Hello", doubts=(Doubt("address", "c•••@t•••.example"),))
    box = ContactKeys(ctx.keyring, conn).seal(live.low, to_facts(mail, ()))
    facts = {"received": now, "octets": 900, "state": "held", "until": now + 9**14, "warnings": 1, "words_box": box}
    made = relaying.add(conn, address=address.id, writer=live.low, **facts)
    return {"connection": live.ref, "mail": made.ref}


def _invitations(conn: Connection, *ways: Way) -> list[bytes]:
    """One invitation of each answer, the unanswered first."""
    query = select(invitation.c.answer, invitation.c.ref).where(invitation.c.way.in_(ways)).order_by(invitation.c.id)
    found: dict[str, bytes] = {}
    for row in conn.execute(query):
        found.setdefault(row.answer or "", row.ref)
    return [found[answer] for answer in sorted(found)]


def _choices(tokens: list[str]) -> list[Values]:
    """Each choice on the first of these invitations, and one on each other."""
    every = [{"token": token, "choice": choice} for token in tokens[:1] for choice in ("decline", "never", "later")]
    return every + [{"token": token, "choice": "never"} for token in tokens[1:]]


def _mail_of(conn: Connection, state: str) -> bytes | None:
    query = (
        select(message.c.ref)
        .join(campaign, campaign.c.id == message.c.campaign)
        .join(consent, (consent.c.contact == message.c.contact) & (consent.c.topic == campaign.c.topic))
        .where(message.c.state == "sent", consent.c.state == state)
    )
    return conn.execute(query).scalars().first()


def _asked_through_links(conn: Connection) -> list[bytes]:
    """An invitation by way of a connect link of each fate."""
    found = conn.execute(select(invitation.c.answer, invitation.c.ref).where(invitation.c.way == "link")).all()
    return list({row.answer: row.ref for row in found}.values())


def _changed(conn: Connection) -> list[bytes]:
    """A consent event of each kind that has a receipt, of people who are still here."""
    query = select(consent_event.c.event, consent_event.c.ref).join(
        contact_key, contact_key.c.contact == consent_event.c.contact
    )
    found = {row.event: row.ref for row in conn.execute(query.where(consent_event.c.event.in_(sorted(EVENTS))))}
    return [found[event] for event in sorted(found)]


def _told(conn: Connection) -> list[tuple[bytes, int]]:
    """Requests whose owner said yes, and when: the mail that told so has a token of that instant."""
    query = select(invitation.c.ref, invitation.c.settled).where(invitation.c.settlement == "accepted")
    return [(row.ref, row.settled) for row in conn.execute(query)]


def _one_time(conn: Connection, purpose: Purpose, member: int | None, now: int) -> bytes:
    ref = secrets.token_bytes(16)
    add_link(conn, now, ref=ref, purpose=purpose.value, expires=now + 3_600_000_000, staff_id=member)
    return ref


def _letters(ctx: Context) -> list[str]:
    """The newest mails: a confirmation and a campaign's among them."""
    folder = ctx.settings.instance / "mailbox" / "new"
    keys = sorted((path.name for path in folder.iterdir()), reverse=True)
    return [keys[0], keys[len(keys) // 2], keys[-1]]
