"""`python -m bench.compose`: what writing a campaign's letters costs, against the standard library's way.

Ours is the pipeline's own `write_letters` on a durable PostgreSQL: rows read, boxes opened, links signed, fields
filled in, octets joined, over batches of 500 letters of 10 kB with eight fields each. The other way is `EmailMessage`
from the same words, already filled, and dkimpy's RSA-2048 over its octets. Processor time of one thread, the same run.

Prints `compose ratio_emailmessage=… us_per_message=… us_rsa=… us_ed25519=…`: theirs over ours, both signed with RSA;
microseconds a letter unsigned; and what signing each adds. `us_sqlite`: unsigned, read from SQLite.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from pathlib import Path

import dkim as dkimpy
from sqlalchemy import insert, select, update

from bench.servers import durable_postgresql, folder
from outreach.config import Settings
from outreach.domain import addresses
from outreach.mail import dkim
from outreach.mail.compose import dress
from outreach.mail.content import Filled, fill, prepare
from outreach.mail.footer import Footer
from outreach.pipeline.letters import write_letters
from outreach.services.context import Context, open_context
from outreach.store.boxes import ContactKeys
from outreach.store.migrate import upgrade
from outreach.store.newcomers import Newcomer, ensure_contacts
from outreach.store.schema.campaigns import campaign, content, message
from outreach.store.schema.consents import consent
from outreach.store.schema.organisation import sender
from tests.factories import World

_BATCH = 500
_REPEATS = 5
_STANDARD_SAMPLE = 40
_ORDER = [b"from", b"to", b"subject", b"date", b"message-id", b"list-unsubscribe", b"list-unsubscribe-post"]

SUBJECT, PREHEADER = "Autumn in the garden, {{ first_name }}", "What {{ town }} can sow before the first frost"
BODY = "\n\n".join(
    [
        "Dear {{ first_name | default: 'reader' }},",
        "# This week in {{ town }}",
        *(
            f"## Bed {number}\n\nPrune the roses of bed {number} once their leaves have fallen, and not before: a cut "
            "made in the warm weeks of autumn wakes the buds that winter would then take. "
            "[Read how](https://northfield.example/beds?plot={{ plot }}) and *when* to mulch, water and cover them."
            for number in range(1, 7)
        ),
        "Your plot is {{ plot }}, your key {{ key }}, your group meets on {{ day }} with {{ host }} at {{ place }}.",
        "Until then, {{ first_name }}: {{ closing }}!",
    ]
)


def main() -> None:
    """Measure on both stores and print the line."""
    with durable_postgresql() as server, house(server.url(server.create())) as (ctx, ids):
        octets = write_letters(ctx, ids[:1], 0.0).parcels["main"][0].data
        plain, spread = measure(ctx, ids)
        _use_keys(ctx, "rsa")
        rsa, rsa_spread = measure(ctx, ids)
        _use_keys(ctx, "ed25519")
        ed25519, _ = measure(ctx, ids)
    with house("") as (ctx, ids):
        sqlite, _ = measure(ctx, ids)
    theirs, their_spread = _standard_library()
    figures = {
        "ratio_emailmessage": f"{theirs / rsa:.1f}",
        "us_per_message": f"{plain:.1f}",
        "us_rsa": f"{rsa - plain:.1f}",
        "us_ed25519": f"{ed25519 - plain:.1f}",
        "us_sqlite": f"{sqlite:.1f}",
        "us_emailmessage": f"{theirs:.0f}",
        "octets": str(len(octets)),
        "spread": f"{spread:.1f}/{rsa_spread:.1f}/{their_spread:.0f}",
    }
    print("compose", " ".join(f"{name}={figure}" for name, figure in figures.items()))


@contextmanager
def house(database_url: str) -> Iterator[tuple[Context, list[int]]]:
    """A store with one campaign whose batch is decided; its context and the messages' ids. Without a URL, SQLite."""
    with folder() as path:
        ctx = open_context(Settings(instance=path, database_url=database_url))
        upgrade(ctx.db)
        try:
            yield ctx, _fill(ctx, World(ctx))
        finally:
            ctx.db.dispose()


def measure(ctx: Context, ids: list[int]) -> tuple[float, float]:
    """Median microseconds of processor time a letter, and the spread between the slowest and the fastest repeat."""
    return _times(lambda: write_letters(ctx, ids, 0.0), len(ids))


def _times(work: Callable[[], object], letters: int) -> tuple[float, float]:
    work()
    gc.collect()  # what starting up left behind is no letter's cost
    seen = []
    for _ in range(_REPEATS):
        began = time.process_time()
        work()
        seen.append((time.process_time() - began) / letters * 1e6)
    return statistics.median(seen), max(seen) - min(seen)


def _fields(number: int) -> dict[str, str]:
    return {
        "first_name": ("Anna", "Björn", "Chiara", "Dmitri", "Élodie")[number % 5],
        "town": ("Northfield", "Östersund", "'s-Hertogenbosch")[number % 3],
        "plot": f"{number % 90 + 10}",
        "key": f"K{number:05}",
        "day": "Tuesday",
        "host": f"Group {number % 7} & friends",
        "place": "the old orchard behind the mill",
        "closing": "good weather",
    }


def _fill(ctx: Context, world: World) -> list[int]:
    topic, text = world.topic()
    made = world.campaign(topic)
    prepared = prepare(SUBJECT, PREHEADER, BODY).to_json()
    newcomers = [
        Newcomer(addresses.parse(f"reader{number}@example.org"), "en", "UTC", _fields(number))
        for number in range(_BATCH)
    ]
    with ctx.db.transaction() as conn:
        people = ensure_contacts(conn, ctx.keyring, ContactKeys(ctx.keyring, conn), newcomers, now=world.now)
        row: dict[str, object] = {
            "ref": bytes(16),
            "campaign": made,
            "version": 1,
            "subject": SUBJECT,
            "preheader": PREHEADER,
        }
        row |= {"body": BODY, "prepared": prepared, "sha256": bytes(32), "frozen": world.now}
        frozen = conn.execute(insert(content).values(row).returning(content.c.id)).scalar_one()
        conn.execute(update(campaign).where(campaign.c.id == made).values(content=frozen))
        granted = {"topic": topic, "state": "granted", "since": world.now, "text": text}
        conn.execute(insert(consent), [granted | {"contact": person.id} for person in people.values()])
        shared: dict[str, object] = {"origin": "campaign", "kind": "informational", "lane": f"5-campaign-{made}-other"}
        shared |= {"campaign": made, "topic": topic, "content": frozen, "planned": world.now, "due": world.now}
        rows = [
            shared
            | {"ref": number.to_bytes(16, "big"), "state": "attempted", "contact": one.id, "mailbox": one.mailbox}
            for number, one in enumerate(people.values(), 1)
        ]
        conn.execute(insert(message), rows)
        return list(conn.execute(select(message.c.id).order_by(message.c.id)).scalars())


def _use_keys(ctx: Context, kind: str) -> None:
    keys = ctx.settings.instance / "dkim"
    keys.mkdir(exist_ok=True)
    with ctx.db.transaction() as conn:
        name = conn.execute(select(sender.c.ref)).scalar_one().hex()
        conn.execute(update(sender).values(dkim_selector=kind))  # a new selector is looked up at once
    Path(keys / f"{name}.pem").write_bytes(dkim.make_key(kind))


def _standard_library() -> tuple[float, float]:
    key = dkim.make_key()
    prepared = prepare(SUBJECT, PREHEADER, BODY)
    letters = [_words(fill(prepared, _fields(number)), number) for number in range(_STANDARD_SAMPLE)]
    return _times(lambda: [_email_message(letter, key) for letter in letters], len(letters))


def _words(filled: Filled, number: int) -> Filled:
    footer = Footer(
        sender_name="Northfield",
        postal_address="1 Orchard Lane, Northfield",
        controller="Northfield Garden Society",
        topic="Garden tips",
        cap_n=2,
        cap_window=7 * 86_400,
        locale="en",
        why_url=f"https://mail.northfield.example/why/{number:066}",
        stop_url=f"https://mail.northfield.example/stop/{number:066}",
        contact_reference="K7Q2-M9XR-T4",
    )
    return dress(filled, "Northfield", footer)


def _email_message(words: Filled, key: bytes) -> bytes:
    letter = EmailMessage(policy.SMTP)
    letter["From"] = "Northfield <news@northfield.example>"
    letter["To"] = "reader@example.org"
    letter["Subject"] = words.subject
    letter["Date"] = "Mon, 21 Sep 2026 14:13:20 +0000"
    letter["Message-ID"] = "<00000000000000000000000000000001@northfield.example>"
    letter["List-Unsubscribe"] = f"<https://mail.northfield.example/stop/{0:066}>"
    letter["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    letter.set_content(words.text, cte="quoted-printable")
    letter.add_alternative(words.html, subtype="html", cte="quoted-printable")
    octets = letter.as_bytes()
    signature: bytes = dkimpy.sign(
        octets, b"s", b"northfield.example", key, canonicalize=(b"relaxed", b"simple"), include_headers=_ORDER
    )
    return signature + octets


if __name__ == "__main__":
    main()
