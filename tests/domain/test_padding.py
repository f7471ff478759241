"""What is published of the log's size hides how much an act wrote."""

from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.audit import TILE
from outreach.domain.padding import padding


@given(st.integers(0, 10**9), st.integers(0, TILE - 1))
def test_the_padded_log_is_a_whole_number_of_tiles(total: int, dither: int) -> None:
    assert (total + padding(total, dither)) % TILE == 0
    assert dither <= padding(total, dither) < dither + TILE


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_a_few_entries_more_show_as_many_times_in_256_and_no_more(total: int, more: int) -> None:
    """So whoever watches learns of one entry more with an advantage of 1/256, whatever they know of the rest."""
    shown = [(total + padding(total, d), total + more + padding(total + more, d)) for d in range(TILE)]
    assert sum(one != other for one, other in shown) == more
