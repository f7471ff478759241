"""Writers of one SQLite file wait for each other, in one process and in several."""

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from outreach.store.database import Database
from outreach.store.writers import Writers

_PATIENCE = 20
_HOLD = """
import sys
from outreach.store.writers import Writers
with Writers(sys.argv[1]).turn():
    print("in", flush=True)
    sys.stdin.readline()
"""
_COUNT = """
import sys
from sqlalchemy import text
from outreach.store.database import Database
db = Database(sys.argv[1])
for _ in range(50):
    with db.transaction() as conn:
        n = conn.execute(text("SELECT n FROM counter")).scalar_one()
        conn.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "outreach.db")


@contextmanager
def holding(path: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process, in its turn until it is told or killed."""
    words = [sys.executable, "-c", _HOLD, path]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "in\n"
        yield other


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_writer_waits_for_another_process_to_be_done_or_dead(path: str, is_killed: bool) -> None:
    entered = threading.Event()

    def write() -> None:
        with Writers(path).turn():
            entered.set()

    with holding(path) as other, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(write)
        assert not entered.wait(0.3)
        if is_killed:
            other.send_signal(signal.SIGKILL)
        else:
            assert other.stdin is not None
            other.stdin.write("\n")
            other.stdin.flush()
        waiting.result(_PATIENCE)
    assert entered.is_set()


def test_threads_are_in_it_one_at_a_time(path: str) -> None:
    writers, inside, most = Writers(path), list[int](), list[int]()

    def write(number: int) -> None:
        with writers.turn():
            inside.append(number)
            most.append(len(inside))
            threading.Event().wait(0.001)
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(80)))
    assert most == [1] * 80


def test_a_transaction_within_another_is_refused_rather_than_waited_for(path: str) -> None:
    writers = Writers(path)
    with writers.turn(), pytest.raises(RuntimeError, match="within another"), writers.turn():
        pass
    with writers.turn():  # and the queue moves on
        pass


def test_without_the_file_all_goes_on(path: str) -> None:
    Path(f"{path}-writers").mkdir()
    db = Database(f"sqlite:///{path}")
    for _ in range(2):
        with db.transaction() as conn:
            conn.execute(text("CREATE TABLE IF NOT EXISTS t (n INTEGER)"))
    db.dispose()


def test_a_lock_that_cannot_be_had_is_done_without(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    writers, real = Writers(path), fcntl.flock

    def refuse(_file: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):
        with writers.turn():
            pass
    monkeypatch.setattr(fcntl, "flock", real)
    with writers.turn():
        pass


def test_the_file_belongs_to_whom_the_database_belongs_and_may_be_locked_by_who_may_write(path: str) -> None:
    Path(path).touch()
    Path(path).chmod(0o664)
    if os.geteuid() == 0:
        os.chown(path, 1234, 1235)
    with Writers(path).turn():
        pass
    made, database = Path(f"{path}-writers").stat(), Path(path).stat()
    assert (made.st_uid, made.st_gid) == (database.st_uid, database.st_gid)
    assert stat.S_IMODE(made.st_mode) == 0o660


def test_where_one_stands_still_the_others_of_a_process_go_on_to_hear_it_from_sqlite(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outreach.store.writers.PATIENCE", 0.2)
    writers, inside = Writers(path), threading.Event()

    def write() -> None:
        with writers.turn():
            inside.set()

    with holding(path) as other, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(write) for _ in range(2)]
        assert inside.wait(_PATIENCE)  # one of the two; the other waits for the process
        assert sum(one.done() for one in waiting) <= 1
        assert other.stdin is not None
        other.stdin.write("\n")
        other.stdin.flush()
        for one in waiting:
            one.result(_PATIENCE)


def test_a_failed_transaction_lets_the_next_one_in(path: str) -> None:
    db = Database(f"sqlite:///{path}")
    with pytest.raises(ValueError, match="no"), db.transaction():
        raise ValueError("no")
    with db.transaction() as conn:
        assert conn.execute(text("SELECT 1")).scalar_one() == 1
    db.dispose()


def test_processes_and_threads_that_read_and_write_lose_nothing(path: str) -> None:
    url = f"sqlite:///{path}"
    db = Database(url)
    with db.transaction() as conn:
        conn.execute(text("CREATE TABLE counter (n INTEGER)"))
        conn.execute(text("INSERT INTO counter VALUES (0)"))

    def write(_number: int) -> None:
        with db.transaction() as conn:
            n = conn.execute(text("SELECT n FROM counter")).scalar_one()
            conn.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

    others = [subprocess.Popen([sys.executable, "-c", _COUNT, url]) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(100)))
    assert [other.wait(_PATIENCE) for other in others] == [0, 0]
    with db.reading() as conn:
        assert conn.execute(text("SELECT n FROM counter")).scalar_one() == 200
    db.dispose()


def test_a_forked_process_has_a_turn_of_its_own(path: str) -> None:
    writers, entered = Writers(path), threading.Event()
    with writers.turn():
        pass
    child = os.fork()
    if child == 0:
        with writers.turn():
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)

    def write() -> None:
        with writers.turn():
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(write)
        assert not entered.wait(0.3)
        os.kill(child, signal.SIGCONT)
        waiting.result(_PATIENCE)
    os.waitpid(child, 0)
