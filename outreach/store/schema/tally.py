"""How a campaign's messages stand, as sums of what each transaction changed."""

from sqlalchemy import Column, Index, Integer, Table, Text

from outreach.store.schema.columns import BigId, identity, instant, metadata

# Never updated: workers that record at once do not wait for each other over a row they share.
tally = Table(
    "tally",
    metadata,
    identity(),
    Column("campaign", BigId, nullable=False),
    instant("at"),
    Column("state", Text, nullable=False),  # what is being attempted counts as planned
    Column("reason", Text),
    Column("n", Integer, nullable=False),  # how many more, or fewer
)
Index("ix_tally_campaign", tally.c.campaign, tally.c.state, tally.c.at)
