"""Rows for tests, put straight into the store where a test is about something else."""

import hashlib
import itertools
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert

from outreach.domain import addresses
from outreach.domain.actors import Actor
from outreach.domain.policies import Name, Value, of_caps
from outreach.services import passwords
from outreach.services.context import Context
from outreach.store import members, policies
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, ensure_contact
from outreach.store.schema.campaigns import campaign
from outreach.store.schema.consents import consent, consent_text, topic
from outreach.store.schema.organisation import controller, sender, staff

DAY = 86_400_000_000


@dataclass(frozen=True)
class MadeMember:
    """A member: their row's id and ref, their contact, and the actor services are told."""

    id: int
    ref: bytes
    person: Person
    actor: Actor


class World:
    """One organisation. Every method commits; ids are returned."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._numbers = itertools.count(1)
        with ctx.db.transaction() as conn:
            self.now = ctx.db.now(conn)
            conn.execute(
                insert(controller).values(
                    id=1,
                    ref=secrets.token_bytes(16),
                    name="Northfield Garden Society",
                    postal_address="1 Orchard Lane, Northfield",
                    updated=self.now,
                    quiet_from=0,
                    quiet_to=0,
                )
            )
        self.sender = self._insert(
            sender,
            ref=secrets.token_bytes(16),
            name="Northfield",
            postal_address="1 Orchard Lane, Northfield",
            from_local="news",
            from_domain="northfield.example",
            created=self.now,
        )

    def _insert(self, table: Any, **values: Any) -> int:
        with self.ctx.db.transaction() as conn:
            return int(conn.execute(insert(table).values(**values).returning(table.c.id)).scalar_one())

    def topic(
        self,
        *,
        cap_n: int = 2,
        window: int = 7 * 86400,
        ratio_k: int = 0,
        kinds: str = "informational,promotional",
        locale: str = "en",
    ) -> tuple[int, int]:
        """(topic id, id of its published text)."""
        number = next(self._numbers)
        made = self._insert(
            topic,
            ref=secrets.token_bytes(16),
            slug=f"topic-{number}",
            sender=self.sender,
            name=f"Topic {number}",
            purpose="what to sow and prune",
            retention_days=365,
            created=self.now,
        )
        return made, self.text(made, cap_n=cap_n, window=window, ratio_k=ratio_k, kinds=kinds, locale=locale)

    def text(
        self,
        topic_id: int,
        *,
        version: int = 1,
        cap_n: int = 2,
        window: int = 7 * 86400,
        ratio_k: int = 0,
        kinds: str = "informational,promotional",
        locale: str = "en",
        gets: str = "what to sow and prune",
        sender_name: str = "Northfield",
    ) -> int:
        wording = f"I would like Northfield to send me mail, at most {cap_n} times."
        return self._insert(
            consent_text,
            ref=secrets.token_bytes(16),
            topic=topic_id,
            locale=locale,
            version=version,
            title="Garden tips",
            gets=gets,
            wording=wording,
            sender_name=sender_name,
            kinds=kinds,
            cap_n=cap_n,
            cap_window=window,
            ratio_k=ratio_k,
            sha256=hashlib.sha256(wording.encode()).digest(),
            published=self.now,
        )

    def person(self, address: str = "", *, locale: str = "en", timezone: str = "UTC", **fields: str) -> Person:
        address = address or f"person{next(self._numbers)}@example.org"
        with self.ctx.db.transaction() as conn:
            keys = ContactKeys(self.ctx.keyring, conn)
            return ensure_contact(
                conn,
                self.ctx.keyring,
                keys,
                addresses.parse(address),
                now=self.now,
                locale=locale,
                timezone=timezone,
                fields=fields,
            )

    def grant(
        self,
        person: Person,
        topic_id: int,
        text_id: int,
        *,
        state: str = "granted",
        cap_n: int = 2,
        window: int = 7 * 86400,
        ratio_k: int = 0,
        kinds: str = "informational,promotional",
        **more: Any,
    ) -> None:
        with self.ctx.db.transaction() as conn:
            conn.execute(
                insert(consent).values(
                    contact=person.id,
                    topic=topic_id,
                    state=state,
                    since=self.now,
                    text=text_id,
                    cap_n=cap_n,
                    cap_window=window,
                    ratio_k=ratio_k,
                    kinds=kinds,
                    **more,
                )
            )

    def staff(self, roles: str = "administrator,marketer,officer") -> int:
        person = self.person()
        return self._insert(staff, ref=secrets.token_bytes(16), contact=person.id, roles=roles, created=self.now)

    def member(self, address: str = "", name: str = "Alice", *, locale: str = "en", password: str = "") -> MadeMember:
        """An open account. Without `password` nobody can sign in to it; sessions can be begun all the same."""
        person = self.person(address, locale=locale)
        password_hash = passwords.hash_password(password) if password else ""
        with self.ctx.db.transaction() as conn:
            keys = ContactKeys(self.ctx.keyring, conn)
            row = members.add(conn, keys, self.now, person.id, name=name, password_hash=password_hash)
        return MadeMember(row.id, row.ref, person, Actor(f"member:{row.ref.hex()}", member_id=row.id))

    def policy(self, name: Name, value: Value) -> None:
        """In force since this world began, instead of what held."""
        with self.ctx.db.transaction() as conn:
            policies.put(conn, self.now, name, value, reason="test", author="test", begun=self.now)

    def cap(self, scope: str, n: int, window: int) -> None:
        """The one cap of this scope."""
        self.policy(Name(f"cap-{scope}"), of_caps((n, window)))

    def campaign(
        self,
        topic_id: int,
        *,
        author: int | None = None,
        kind: str = "informational",
        state: str = "sending",
        **more: Any,
    ) -> int:
        """A campaign with frozen content, due now."""
        return self._insert(
            campaign,
            ref=secrets.token_bytes(16),
            name="Pruning roses",
            topic=topic_id,
            author=author or self.staff(),
            kind=kind,
            state=state,
            subject="Pruning roses before frost",
            body="Dear {{ first_name }}",
            due=more.pop("due", self.now),
            created=self.now,
            updated=self.now,
            **more,
        )
