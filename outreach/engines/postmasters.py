"""What mail servers report in the demonstration, in words as real ones use: handed over where the intake would."""

from sqlalchemy import select

from outreach.mail.inbound.incoming import Kind
from outreach.services.context import Context
from outreach.services.intake.bounces import take_reports
from outreach.store.inbound import Told
from outreach.store.schema.campaigns import campaign, message

_CAMPAIGN = "Tools offer"
_SAID = (
    (Kind.HARD_BOUNCE, "5.1.1", "550 5.1.1 There is no such user here"),
    (Kind.SOFT_BOUNCE, "5.2.2", "552 5.2.2 The mailbox is full"),
    (Kind.SOFT_BOUNCE, "4.2.2", "452 4.2.2 Over quota, please try again later"),
    (Kind.DELAY, "4.4.1", "connection timed out; it is tried for three more days"),
    (Kind.BLOCKED, "5.7.1", "554 5.7.1 Refused by local policy"),
    (Kind.AUTO_REPLY, "", ""),
)


def report(ctx: Context) -> None:
    """One report each about the last who got a campaign."""
    with ctx.db.transaction() as conn:
        query = select(message.c.id).join(campaign, campaign.c.id == message.c.campaign)
        sent = query.where(campaign.c.name == _CAMPAIGN, message.c.state == "sent").order_by(message.c.id.desc())
        mails = list(conn.execute(sent.limit(len(_SAID))).scalars())
        told = [
            Told(message=mail, kind=kind, status=status, words=words, reporting="mx.example.net")
            for mail, (kind, status, words) in zip(mails, _SAID, strict=False)
        ]
        take_reports(conn, ctx.db.now(conn), told)
