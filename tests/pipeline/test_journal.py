"""The journal: what reaches the kernel when, and what is read from it after a worker's death."""

import os
import threading
from pathlib import Path

import pytest

from outreach.pipeline import journal as journals
from outreach.pipeline.journal import DeadJournal, WorkerJournal, boot, dead_journals


@pytest.fixture
def journal(tmp_path: Path) -> WorkerJournal:
    return WorkerJournal(tmp_path, "w")


def written(folder: Path) -> list[str]:
    head, *lines = (folder / "w.journal").read_text().splitlines()
    assert head == f"boot {boot()}"
    return lines


def read(folder: Path, text: str) -> DeadJournal:
    """What a reaper makes of a dead worker's file."""
    dead = folder / "dead"
    dead.mkdir()
    (dead / "gone.journal").write_text(text)
    (found,) = dead_journals(dead)
    return found


def test_notes_of_one_instant_are_one_write_in_their_order(
    tmp_path: Path, journal: WorkerJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []

    def write(_file: int, octets: bytes) -> int:
        writes.append(octets)
        return len(octets)

    monkeypatch.setattr(os, "write", write)
    journal.replied(7, 250, "250 2.0.0 Ok")
    journal.dotted(8)
    journal.begun(9)
    assert writes == []
    journal.flush()
    journal.flush()
    assert writes == [b"r 7 250 250 2.0.0 Ok\nd 8\nb 9\n"]


def test_what_was_flushed_is_there_for_others_while_the_worker_lives(tmp_path: Path, journal: WorkerJournal) -> None:
    journal.begun(1)
    assert written(tmp_path) == []
    journal.flush()
    assert written(tmp_path) == ["b 1"]
    journal.forget()
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["two\nlines", "two\r\nlines", "two\x0blines", "two\x85lines", "two\u2028lines", "two\x00lines"]
)
def test_a_reply_stays_on_its_line(tmp_path: Path, journal: WorkerJournal, text: str) -> None:
    journal.replied(1, 550, text)
    journal.begun(2)
    journal.flush()
    lines = (tmp_path / "w.journal").read_text().split("\n")
    assert [line[:4] for line in lines[1:]] == ["r 1 ", "b 2", ""]


def test_a_reply_is_cut_at_two_hundred_letters(tmp_path: Path, journal: WorkerJournal) -> None:
    journal.replied(1, 550, "å" * 300)
    journal.flush()
    assert written(tmp_path) == [f"r 1 550 {'å' * 200}"]


@pytest.mark.parametrize("kept", [0, 3])
def test_a_disk_that_takes_only_a_part_is_an_error(
    journal: WorkerJournal, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(os, "write", lambda _file, _octets: kept)
    journal.begun(1)
    with pytest.raises(OSError, match="No space"):
        journal.flush()


def test_no_thread_goes_on_before_its_note_is_written(tmp_path: Path, journal: WorkerJournal) -> None:
    missing: list[int] = []

    def hand_off(start: int) -> None:
        for number in range(start, start + 100):
            journal.begun(number)
            journal.flush()
            if f"b {number}\n" not in (tmp_path / "w.journal").read_text():
                missing.append(number)

    threads = [threading.Thread(target=hand_off, args=(start,)) for start in (0, 1000, 2000, 3000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missing == []
    assert len(written(tmp_path)) == 400


def test_each_message_is_known_by_the_last_that_was_noted_of_it(tmp_path: Path) -> None:
    found = read(tmp_path, f"boot {boot()}\nb 1\nb 2\nd 1\nb 3\nr 1 250 250 Ok\nd 2\nb 2\nr 3 550 550 5.1.1 no\n")
    assert found.whole
    assert found.begun == {1, 2, 3}
    assert found.dotted == {1}  # 2 was begun again
    assert found.replies == {1: (250, "250 Ok"), 3: (550, "550 5.1.1 no")}


@pytest.mark.parametrize("end", range(1, 40))
def test_a_line_without_its_end_says_nothing(tmp_path: Path, end: int) -> None:
    lines = "r 11 250 250 Ok\nd 123\nb 124\nr 125 451 x\n"
    found = read(tmp_path, f"boot {boot()}\n{lines[:end]}")
    whole = lines[:end].count("\n")
    assert found.replies == {11: (250, "250 Ok")} if whole in {1, 2, 3} else found.replies != {11: (25, "")}
    assert found.dotted == ({123} if whole >= 2 else set())
    assert found.begun == ({124} if whole >= 3 else set())


@pytest.mark.parametrize("text", ["", "boot ", "boot of another time\nb 1\n"])
def test_a_journal_of_another_boot_or_without_a_head_is_not_whole(tmp_path: Path, text: str) -> None:
    assert not read(tmp_path, text).whole


def test_a_journal_in_use_is_left_alone_and_a_closed_one_is_gone(tmp_path: Path, journal: WorkerJournal) -> None:
    assert list(dead_journals(tmp_path)) == []
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_dead_journal_is_kept_until_the_reaper_is_done_with_it(tmp_path: Path) -> None:
    (tmp_path / "gone.journal").write_text(f"boot {boot()}\n")
    reading = dead_journals(tmp_path)
    assert next(reading).worker == "gone"
    assert (tmp_path / "gone.journal").exists()
    assert next(reading, None) is None
    assert not (tmp_path / "gone.journal").exists()


def test_a_machine_that_does_not_tell_its_boot_never_seems_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_BOOT", tmp_path / "none")
    assert boot() != boot()
