"""The demonstration's readers: they answer campaigns, write from their rooms, and are answered, though not all of them.

What they send is handed over as the intake would; everything else goes through the real services. The people are
invented.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from outreach.domain.actors import Actor
from outreach.mail.inbound.incoming import Attachment, Incoming, Kind
from outreach.services.context import Context
from outreach.services.conversations import answering, handling, own, public_answers
from outreach.services.conversations.inbox import open_conversation, see_conversation
from outreach.services.conversations.incoming import take_reply
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import find_by_id
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import topic
from outreach.store.schema.people import contact

_CRITICAL = (
    "Two offers in a week is more than I signed up for.",
    "Please, fewer offers. I came for the beans.",
    "It reads like an advertisement. Your letters used to be better than this.",
    "Every week something for sale. I would rather have the tips.",
    "Could you send the offers less often? I nearly unsubscribed.",
    "Enough about packets, more about soil, please.",
)
_BACK = 40 * 86_400


class Readers:
    """Plays a day at a time. `staff`: who answers; `send` carries what is queued to the demo mailbox."""

    def __init__(self, ctx: Context, staff: Actor, send: Callable[[], None]) -> None:
        self.ctx, self.staff, self._send = ctx, staff, send
        self._acts: dict[int, Callable[[], None]] = {
            19: self._about_compost,
            11: self._about_offers,
            8: self._about_tools,
            5: self._tell_everybody,
            1: self._from_their_rooms,
        }

    def live(self, days_ago: int) -> None:
        """What they write, and what becomes of it, on this day."""
        if act := self._acts.get(days_ago):
            act()
            self._send()

    def _about_compost(self) -> None:
        question, praise = self._reply(
            "Compost that works",
            ["Does that hold for oak leaves too?", "We turned ours twice and it steams. Thank you!"],
        )
        self._answer(question, "Yes, but they take two years.\n\nAda Lind", "question")
        self._answer(praise, "How good to hear!\n\nAda Lind", "praise")

    def _about_offers(self) -> None:
        refs = self._reply("Autumn offer", _CRITICAL)
        for ref in refs:
            handling.set_mark(self.ctx, self.staff, ref, "critical")
            handling.set_tags(self.ctx, self.staff, ref, "too many offers")
        for ref in refs[:4]:
            self._answer(ref, "You are right, and we will send fewer.\n\nAda Lind", "critical")

    def _about_tools(self) -> None:
        photo = Attachment("my saw.txt", "text/plain", b"It is blunt after one pear tree.")
        ref, _ = self._reply("Tools offer", ["Mine is blunt already. What now?", "Is it left-handed?"], [photo])
        handling.take(self.ctx, self.staff, ref)
        handling.add_note(self.ctx, self.staff, ref, "The shop sharpens them for members. Ask them for a date.")

    def _tell_everybody(self) -> None:
        """One public answer about all of these, and the draft of another."""
        asked, wrote = "Many of you asked what to do with leaves that rot slowly.", "We wrote it down for everybody."
        done = self._write("garden-tips", "Compost, and your leaves", asked, wrote)
        public_answers.publish_answer(self.ctx, self.staff, done, was_read=True)
        self._write("seed-shop", "Fewer offers", "Many of you found the offers too many.", "There is one a month now.")

    def _from_their_rooms(self) -> None:
        words = ("I moved. Do you have a group in the south?", "Thank you for the letters.")
        for (contact_id, _), said in zip(self._mailed("Tools offer", 5)[3:], words, strict=True):
            with self.ctx.db.transaction() as conn:
                person = find_by_id(conn, contact_id)
                assert person is not None  # noqa: S101  mailed lately
                own.write(conn, self.ctx, self.ctx.db.now(conn), person, None, said)

    def _reply(self, name: str, words: Sequence[str], files: Sequence[Attachment] = ()) -> list[bytes]:
        """Readers of a campaign answer it; the first with these files."""
        refs: list[bytes] = []
        for (contact_id, mail), said in zip(self._mailed(name, len(words)), words, strict=True):
            with self.ctx.db.transaction() as conn:
                person = find_by_id(conn, contact_id)
                assert person is not None  # noqa: S101  mailed lately
                read = Incoming(
                    kind=Kind.REPLY,
                    subject=f"Re: {name}",
                    text=said,
                    attachments=() if refs else tuple(files),
                    from_address=self._address(conn, contact_id),
                )
                now = self.ctx.db.now(conn)
                refs.append(take_reply(conn, self.ctx, now, message=mail, person=person, incoming=read, mail=0))
        return refs

    def _address(self, conn: Connection, contact_id: int) -> str:
        box = conn.execute(select(contact.c.address_box).where(contact.c.id == contact_id)).scalar_one()
        return ContactKeys(self.ctx.keyring, conn).text(contact_id, box) or ""

    def _mailed(self, name: str, count: int) -> list[tuple[int, bytes]]:
        """(contact, message ref) of the first who got a campaign."""
        query = select(message.c.contact, message.c.ref).join(campaign, campaign.c.id == message.c.campaign)
        sent = query.where(campaign.c.name == name, message.c.state == "sent").order_by(message.c.id)
        with self.ctx.db.reading() as conn:
            return [(row.contact, row.ref) for row in conn.execute(sent.limit(count))]

    def _answer(self, ref: bytes, words: str, mark: str) -> None:
        open_conversation(self.ctx, self.staff, ref)
        handling.set_mark(self.ctx, self.staff, ref, mark)
        seen = see_conversation(self.ctx, self.staff, ref).seen
        answering.answer(self.ctx, self.staff, ref, words, seen=seen, closes=True)

    def _write(self, slug: str, title: str, said: str, done: str) -> bytes:
        with self.ctx.db.reading() as conn:
            about = conn.execute(select(topic.c.ref).where(topic.c.slug == slug)).scalar_one()
            now = self.ctx.db.now(conn)
        since = datetime.fromtimestamp(now / 1_000_000 - _BACK, UTC).date().isoformat()
        new = public_answers.NewAnswer(topic=about, locale="en", title=title, said=said, done=done, since=since)
        return public_answers.write_answer(self.ctx, self.staff, new)
