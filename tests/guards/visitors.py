"""Who comes: a visitor, a member of staff of each single role, and one who holds them all."""

from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import insert, select

from outreach.domain import addresses
from outreach.domain.actors import Role
from outreach.services import sessions
from outreach.services.context import Context
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import ensure_contact
from outreach.store.schema.organisation import staff
from outreach.web.security import SIGNED_IN, csrf_secret

VISITOR = "visitor"
ALL = ",".join(sorted(Role))
WHO = (VISITOR, *(role.value for role in Role), ALL)
OWN = {who: f"guarding.{number}@staff.example" for number, who in enumerate(WHO)}
"""The address of each member of staff."""
_CLIENT = sessions.Client(browser="A guard's browser", network="192.0.2.0/24")


def hire(ctx: Context) -> None:
    """One member of staff for each of `WHO` but the visitor."""
    for roles in WHO[1:]:
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
            owner = conn.execute(select(staff.c.id).where(staff.c.roles == who).order_by(staff.c.id.desc())).scalar()
            assert owner is not None
            token = sessions.begin_session(ctx, conn, ctx.db.now(conn), owner, _CLIENT)
        with client.session_transaction() as cookie:
            cookie[SIGNED_IN] = token
    return client


def csrf_token(client: FlaskClient) -> str:
    """The token a page of this browser's session would carry."""
    ctx: Context = client.application.extensions["outreach"]
    with client.session_transaction() as cookie:
        if SIGNED_IN in cookie:
            cookie["csrf_token"] = csrf_secret(cookie[SIGNED_IN], ctx.keyring)
        secret = cookie.setdefault("csrf_token", "a visitor's secret")
    return str(URLSafeTimedSerializer(ctx.keyring.sessions, salt="wtf-csrf-token").dumps(secret))
