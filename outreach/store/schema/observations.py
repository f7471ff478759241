"""What scanners leave behind: a note that the hidden link of a mail that asks was touched. Gone after 24 hours."""

from sqlalchemy import Column, LargeBinary, Table

from outreach.store.schema.columns import identity, instant, metadata

# Who touched it is not kept, nor how often: one row for each question, whoever came.
observation = Table(
    "observation",
    metadata,
    identity(),
    Column(
        "about", LargeBinary(16), nullable=False, unique=True
    ),  # ref of the confirmation, or of the invitation it asks about
    instant("at", index=True),
)
