"""Who comes: a visitor, a member, a member of staff of each single role, and one who holds them all."""

from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import Select, insert, select

from outreach.domain import addresses
from outreach.domain.actors import Role
from outreach.services import sessions
from outreach.services.context import Context
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import ensure_contact
from outreach.store.schema.members import member
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact
from outreach.web.security import SIGNED_IN, csrf_secret
from tests.guards.members import enrol

VISITOR = "visitor"
MEMBER = "member"
ALL = ",".join(sorted(Role))
STAFF = (*(role.value for role in Role), ALL)
WHO = (VISITOR, MEMBER, *STAFF)
OWN = {who: f"guarding.{number}@own.example" for number, who in enumerate(WHO)}
"""The address each of them may read: their own."""
_CLIENT = sessions.Client(browser="A guard's browser", network="192.0.2.0/24")


def hire(ctx: Context) -> None:
    """One member of staff for each of `STAFF`, and a member with something in each room."""
    enrol(ctx, OWN[MEMBER])
    for roles in STAFF:
        with ctx.db.transaction() as conn:
            now = ctx.db.now(conn)
            person = ensure_contact(
                conn,
                ctx.keyring,
                ContactKeys(ctx.keyring, conn),
                addresses.parse(OWN[roles]),
                now=now,
                locale="en",
                timezone="UTC",
                fields={"name": f"Guarding {roles.title()}"},
            )
            ref = person.ref[::-1]
            conn.execute(insert(staff).values(ref=ref, contact=person.id, roles=roles, created=now))


def browser(app: Flask, who: str) -> FlaskClient:
    """A browser of one of `WHO`, freshly signed in unless it is the visitor's."""
    client = app.test_client()
    if who != VISITOR:
        ctx: Context = app.extensions["outreach"]
        with ctx.db.transaction() as conn:
            accounts = sessions.MEMBERS if who == MEMBER else sessions.STAFF
            owner = conn.execute(_account_of(ctx, who)).scalar()
            assert owner is not None
            token = sessions.begin_session(ctx, conn, ctx.db.now(conn), owner, _CLIENT, accounts)
        with client.session_transaction() as cookie:
            cookie[SIGNED_IN] = token
    return client


def _account_of(ctx: Context, who: str) -> Select[int]:
    if who != MEMBER:
        return select(staff.c.id).where(staff.c.roles == who).order_by(staff.c.id.desc())
    key = ctx.keyring.blind("address", OWN[MEMBER])
    return select(member.c.id).join(contact, contact.c.id == member.c.contact).where(contact.c.address_key == key)


def csrf_token(client: FlaskClient) -> str:
    """The token a page of this browser's session would carry."""
    ctx: Context = client.application.extensions["outreach"]
    with client.session_transaction() as cookie:
        if SIGNED_IN in cookie:
            cookie["csrf_token"] = csrf_secret(cookie[SIGNED_IN], ctx.keyring)
        secret = cookie.setdefault("csrf_token", "a visitor's secret")
    return str(URLSafeTimedSerializer(ctx.keyring.sessions, salt="wtf-csrf-token").dumps(secret))
