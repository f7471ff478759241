"""Writers of one SQLite file wait for each other, in one process and in several."""

import os
import signal
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
