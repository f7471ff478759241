"""How many entries without meaning join the log before it is shown, so that its size tells of nobody.

Whoever submits an address and then watches the public log would learn from its size whether the address was known:
what a stranger sets going takes another number of entries. So the published size is a multiple of 256, reached after
a random number of padding entries of 0 to 255: one entry more or less changes what is published once in 256 times, by
chance, and nobody outside can tell padding from an entry, since every leaf is salted.
"""

from outreach.domain.audit import TILE

KIND = "log.padded"


def padding(total: int, dither: int) -> int:
    """How many entries to add to a log of `total`, for a `dither` drawn evenly from 0 … 255."""
    return dither + -(total + dither) % TILE
