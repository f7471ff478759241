"""Witnesses: each way there is to reach one, over real connections; and what happens when one fails."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_string, policy
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import NotAllowedError, NotFoundError
from outreach.hosts import Witness
from outreach.mail import maildir
from outreach.mail.demo import DemoServer
from outreach.services.context import Context
from outreach.services.seal import LogKey, seal
from outreach.services.transparency.posting import PostError, post
from outreach.services.transparency.public_log import see_checkpoint
from outreach.services.transparency.publish import newest, publish
from outreach.services.transparency.witnesses import WitnessHealth, ask_again, health, see_witnesses, tell_witnesses
from outreach.store import witnesses as rows
from outreach.store.audit_log import SealedPoint
from tests.factories import World
from tests.mail.relays import free_port
from tests.services.transparency.logs import pass_time, write
from tests.services.transparency.witnessing import Cosigner, at, say, serving, with_witnesses

HOUR = 3600
OFFICER = Actor("staff:0", frozenset({Role.OFFICER}))


def grow(ctx: Context) -> SealedPoint:
    """Something happens, and an hour later it is published."""
    write(ctx)
    pass_time(ctx, HOUR + 1)
    assert publish(ctx, 1) is not None
    with ctx.db.reading() as conn:
        point = newest(conn)
    assert point is not None
    return point


def one_health(ctx: Context) -> WitnessHealth:
    with ctx.db.reading() as conn:
        (found,) = health(ctx, conn, ctx.db.now(conn))
    return found


def kept_lines(ctx: Context, size: int) -> list[str]:
    with ctx.db.reading() as conn:
        return rows.cosignatures(conn, size)


def test_a_folder_gets_a_file_for_each_checkpoint(ctx: Context, tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    watched = with_witnesses(ctx, vault=at(str(folder), "folder"))
    assert tell_witnesses(watched) == 0
    points = []
    for _ in range(2):
        points.append(grow(watched))
        assert tell_witnesses(watched) == 1
        assert tell_witnesses(watched) == 0
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        f"checkpoint-{point.size:012}.txt": point.note for point in points
    }
    found = one_health(watched)
    assert (found.size, found.behind, found.trouble, found.is_late) == (points[-1].size, 0, "", False)


def test_a_mount_that_is_gone_is_trouble_until_it_is_back(ctx: Context, tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    watched = with_witnesses(ctx, vault=at(str(folder), "folder"))
    point = grow(watched)
    assert tell_witnesses(watched) == 0
    assert not folder.exists()
    assert one_health(watched).failures == 1
    assert "written" in one_health(watched).trouble
    folder.mkdir()
    assert tell_witnesses(watched) == 0  # not yet: it is asked again after a minute
    pass_time(ctx, 61)
    assert tell_witnesses(watched) == 1
    assert (one_health(watched).size, one_health(watched).failures, one_health(watched).trouble) == (point.size, 0, "")


def test_another_checkpoint_of_the_same_size_is_never_written_over(ctx: Context, tmp_path: Path) -> None:
    watched = with_witnesses(ctx, vault=at(str(tmp_path), "folder"))
    point = grow(watched)
    there = tmp_path / f"checkpoint-{point.size:012}.txt"
    there.write_text("the other history\n")
    assert tell_witnesses(watched) == 0
    assert there.read_text() == "the other history\n"
    assert "another checkpoint" in one_health(watched).trouble


@pytest.fixture
def mailbox(ctx: Context, world: World) -> Iterator[tuple[Context, Path]]:
    """The installation with its own SMTP server, and the folder that keeps what came."""
    settings = ctx.settings.model_copy(update={"demo_smtp_port": free_port()})
    server = DemoServer(settings)
    server.start()
    assert settings.demo_mailbox is not None
    yield replace(ctx, settings=settings), settings.demo_mailbox
    server.stop()


def test_a_mailbox_gets_the_note_as_it_is(mailbox: tuple[Context, Path]) -> None:
    ctx, folder = mailbox
    watched = with_witnesses(ctx, auditor=at("auditor@elsewhere.example", "mail"))
    point = grow(watched)
    with capture_logs() as lines:
        assert tell_witnesses(watched) == 1
    (line,), _ = maildir.page(folder, 0, 10)
    letter = maildir.read(folder, line.key)
    assert letter.to == "auditor@elsewhere.example"
    mail = message_from_string(letter.source, policy=policy.default)
    body = mail.get_body(("plain",))
    assert body is not None
    assert f"\n\n{point.note}" in body.get_content().replace("\r\n", "\n")
    assert "elsewhere" not in repr(lines)


def test_a_post_carries_the_note_and_its_answer_may_be_anything_that_is_well(ctx: Context) -> None:
    came: list[tuple[str, bytes]] = []

    def take(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        came.append((handler.path, body))
        say(handler, 204)

    with serving(take) as url:
        watched = with_witnesses(ctx, auditor=at(f"{url}/checkpoints?for=us"))
        point = grow(watched)
        assert tell_witnesses(watched) == 1
    assert came == [("/checkpoints?for=us", (point.note or "").encode())]
    assert one_health(watched).size == point.size


def test_a_cosignature_that_holds_is_kept_and_shown_with_the_checkpoint(ctx: Context) -> None:
    cosigner = Cosigner()

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        say(handler, 200, cosigner.cosign(body.decode()).encode())

    with serving(answer) as url:
        watched = with_witnesses(ctx, auditor=at(url, key=str(cosigner.note_key)))
        point = grow(watched)
        assert tell_witnesses(watched) == 1
    (line,) = kept_lines(ctx, point.size)
    assert see_checkpoint(ctx) == f"{point.note}{line}\n"
    assert see_witnesses(watched, OFFICER).takings[0].is_cosigned


def test_a_cosignature_of_another_key_is_not_kept(ctx: Context) -> None:
    cosigner = Cosigner()

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        cosigned = cosigner.cosign(body.decode().replace("\n", "\nanother", 1))
        say(handler, 200, cosigned.encode())

    with serving(answer) as url:
        watched = with_witnesses(ctx, auditor=at(url, key=str(cosigner.note_key)))
        point = grow(watched)
        assert tell_witnesses(watched) == 1
    assert kept_lines(ctx, point.size) == []


def test_a_witness_of_the_protocol_follows_the_log_by_proofs(ctx: Context) -> None:
    cosigner = Cosigner()
    with serving(cosigner) as url:
        watched = with_witnesses(ctx, w1=at(url, "witness", key=str(cosigner.note_key)))
        sizes = []
        for _ in range(3):
            sizes.append(grow(watched).size)
            assert tell_witnesses(watched) == 1
    assert cosigner.asked == [0, *sizes[:-1]]
    assert cosigner.size == sizes[-1]
    assert [len(kept_lines(ctx, size)) for size in sizes] == [1, 1, 1]


def test_a_witness_that_remembers_another_size_is_asked_from_there(ctx: Context) -> None:
    cosigner = Cosigner()
    with serving(cosigner) as url:
        watched = with_witnesses(ctx, w1=at(url, "witness", key=str(cosigner.note_key)))
        first = grow(watched)
        cosigner.size, cosigner.root = first.size, first.root
        second = grow(watched)
        assert tell_witnesses(watched) == 1
    assert cosigner.asked == [0, first.size]
    assert one_health(watched).size == second.size


def test_a_witness_that_remembers_more_than_there_is_shows_a_log_set_back(ctx: Context) -> None:
    cosigner = Cosigner(size=10**6, root=b"r" * 32)
    with serving(cosigner) as url:
        watched = with_witnesses(ctx, w1=at(url, "witness", key=str(cosigner.note_key)))
        grow(watched)
        assert tell_witnesses(watched) == 0
    assert "larger log" in one_health(watched).trouble


def test_a_forked_log_gets_no_cosignature(ctx: Context) -> None:
    cosigner = Cosigner()
    with serving(cosigner) as url:
        watched = with_witnesses(ctx, w1=at(url, "witness", key=str(cosigner.note_key)))
        first = grow(watched)
        cosigner.size, cosigner.root = first.size, b"of another history, 32 octets!!!"
        grow(watched)
        assert tell_witnesses(watched) == 0
    assert "422" in one_health(watched).trouble


def test_a_failing_witness_is_asked_ever_less_often_and_its_trouble_shown(ctx: Context) -> None:
    asked = 0

    def refuse(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
        nonlocal asked
        asked += 1
        say(handler, 503, b"secret words")

    with serving(refuse) as url:
        watched = with_witnesses(ctx, auditor=at(f"{url}/?token=secret"))
        grow(watched)
        waits = []
        for _ in range(8):
            before = asked
            minutes = 0
            while asked == before:
                with capture_logs() as lines:
                    tell_witnesses(watched)
                if asked == before:
                    pass_time(ctx, 60)
                    minutes += 1
            waits.append(minutes)
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60]
    found = one_health(watched)
    assert (found.failures, found.size, found.is_late) == (8, None, True)
    assert found.trouble == "It answered with status 503."
    assert "secret" not in repr(lines)
    assert one_health(watched) == see_witnesses(watched, OFFICER).health[0]


def test_one_witness_in_trouble_holds_up_neither_another_nor_the_sealing(ctx: Context, tmp_path: Path) -> None:
    watched = with_witnesses(
        ctx,
        gone=at(f"http://127.0.0.1:{free_port()}/"),
        lost=at(str(tmp_path / "nowhere"), "folder"),
        vault=at(str(tmp_path), "folder"),
    )
    grow(watched)
    assert tell_witnesses(watched) == 1
    write(ctx)
    assert seal(ctx, 1) is not None
    with ctx.db.reading() as conn:
        states = {one.name: (one.size is not None, one.failures) for one in health(watched, conn, 0)}
    assert states == {"gone": (False, 1), "lost": (False, 1), "vault": (True, 0)}


def test_an_officer_may_have_one_asked_now(ctx: Context, tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    watched = with_witnesses(ctx, vault=at(str(folder), "folder"))
    grow(watched)
    tell_witnesses(watched)
    folder.mkdir()
    assert tell_witnesses(watched) == 0
    ask_again(watched, OFFICER, "vault")
    assert tell_witnesses(watched) == 1
    with pytest.raises(NotFoundError):
        ask_again(watched, OFFICER, "another")
    with pytest.raises(NotAllowedError):
        ask_again(watched, Actor("staff:1", frozenset({Role.MARKETER})), "vault")


def test_what_is_witnessed_is_what_the_public_key_opens(ctx: Context, tmp_path: Path) -> None:
    watched = with_witnesses(ctx, vault=at(str(tmp_path), "folder"))
    point = grow(watched)
    tell_witnesses(watched)
    (note,) = (path.read_text() for path in tmp_path.glob("checkpoint-*.txt"))
    opened = LogKey(ctx.keyring).open(note)
    assert (opened.size, opened.root) == (point.size, point.root)


def test_a_redirect_is_not_followed() -> None:
    def away(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
        say(handler, 307, Location=elsewhere)

    with serving(lambda handler, _body: say(handler, 200)) as elsewhere, serving(away) as url:
        assert post(url, b"note").status == 307


def test_an_answer_too_long_is_refused() -> None:
    with serving(lambda handler, _body: say(handler, 200, b"x" * 70_000)) as url, pytest.raises(PostError, match="KiB"):
        post(url, b"note")


@contextmanager
def dripping() -> Iterator[str]:
    """A server that answers a letter at a time, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def drip() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(65_536)
            try:
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
                while not done.wait(0.01):
                    client.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        done.set()
        thread.join()
        listener.close()


def test_an_answer_that_drips_ends_in_time() -> None:
    with dripping() as url, pytest.raises(PostError, match="broke off"):
        post(url, b"note", seconds={"step": 5.0, "whole": 0.2})


@pytest.mark.parametrize(
    ("kind", "to", "key"),
    [
        ("post", "http://elsewhere.example/", ""),
        ("post", "https://user:password@elsewhere.example/", ""),
        ("post", "ftp://elsewhere.example/", ""),
        ("post", "https:///nothing", ""),
        ("post", "https://elsewhere.example/a b", ""),
        ("mail", "not an address", ""),
        ("folder", "relative/path", ""),
        ("witness", "https://witness.example/", ""),
        ("post", "https://elsewhere.example/", "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"),
        ("post", "https://elsewhere.example/", "nonsense"),
    ],
)
def test_a_witness_that_cannot_be_is_refused_without_repeating_where(kind: str, to: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"to:|key:|C2SP") as caught:
        at(to, kind, key=key)
    errors = caught.value.errors(include_input=False)  # type: ignore[attr-defined]  # pydantic's
    assert "elsewhere" not in repr(errors)


def test_where_a_witness_is_stands_in_no_representation() -> None:
    witness: Witness = at("https://elsewhere.example/secret")
    assert "elsewhere" not in repr(witness)
