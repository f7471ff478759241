"""The collector of cycles, told what not to look at again and again."""

import gc

_YOUNG = 20_000
"""New objects that live at once before the young ones are looked through. Sixteen pages made side by side hold more
than Python's 700 all the time, so that each of them would pay for many looks that find nothing.
"""


def keep_what_is_loaded() -> None:
    """Call once a process has loaded its code: all there is now stays until its end, and is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
