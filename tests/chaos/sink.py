"""The mail server of the chaos proof, as a process that nobody kills: misbehaves by plan and writes down all it saw.

Each line of its log is one event with its time on the monotonic and on the wall clock, written straight through.
Offers PIPELINING, 8BITMIME and SMTPUTF8. It listens on a port for each worker, so that it knows whose a connection is.
"""

import asyncio
import itertools
import json
import os
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, SupportsIndex

from tests.chaos.temper import DROP, Temper, Turn

_NAP = 0.02
_LINGER = 2.0
_LARGEST = 2**22
_END = b"\r\n.\r\n"
_ID = re.compile(rb"^Message-ID:\s*<([^>\r\n]*)>", re.IGNORECASE | re.MULTILINE)


class Ledger:
    """What all connections share: the log, the plan, and how often each mail was tried."""

    def __init__(self, folder: Path, temper: Temper) -> None:
        self.temper = temper
        self.late = 0.0
        self.asked: Counter[str] = Counter()  # how often each mail's dot, each recipient's RCPT was seen
        self.in_vain: Counter[str] = Counter()  # RCPTs in a row that led to no mail taken
        self.connections, self.transactions = itertools.count(1), itertools.count(1)
        self._file = os.open(folder / "sink.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, event: str, connection: int, **facts: Any) -> None:
        """One line; `mono` as time.monotonic(), which on Linux is one clock for all processes."""
        line = {"event": event, "connection": connection, "mono": time.monotonic(), "wall": time.time(), **facts}
        os.write(self._file, (json.dumps(line) + "\n").encode())

    def count(self, whom: str) -> int:
        """How often this was seen before."""
        self.asked[whom] += 1
        return self.asked[whom] - 1

    async def watch_itself(self) -> None:
        """Know how late this process may be reading: what its own naps take too long, forgotten slowly."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(_NAP)
            self.late = max(time.monotonic() - began - _NAP, self.late * 0.98)


class _OverError(Exception):
    """The connection has ended; the log says how."""


class Arrivals(asyncio.StreamReader):
    """Remembers when what is read arrived: pipelined commands may wait here while we think over a mail."""

    def __init__(self) -> None:
        super().__init__(limit=_LARGEST, loop=asyncio.get_running_loop())
        self._came = 0
        self._stamps: deque[tuple[int, float]] = deque()
        self._used = 0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        data = bytes(data)
        self._came += len(data)
        self._stamps.append((self._came, time.monotonic()))
        super().feed_data(data)

    def use(self, octets: int) -> float:
        """When the last of the next `octets` arrived, time.monotonic()."""
        self._used += octets
        while self._stamps[0][0] < self._used:
            self._stamps.popleft()
        return self._stamps[0][1]


class Conversation:
    """One client, from greeting to end."""

    def __init__(self, ledger: Ledger, slot: int, reader: Arrivals, writer: asyncio.StreamWriter) -> None:
        self.ledger, self.slot, self.reader, self.writer = ledger, slot, reader, writer
        self.arrived = 0.0
        self.number = next(ledger.connections)
        self.point = "greeting"
        self.recipient, self.asked, self.tries = "", 0, 0

    async def hold(self) -> None:
        """Talk until either side ends it."""
        self._note("connected", slot=self.slot)
        try:
            turn = self.ledger.temper.greeting(self.number)
            await self._answer(turn)
            while True:
                self.point = "command"
                await self._command(await self._line())
        except _OverError:
            return
        except ConnectionError:
            self._note("gone", at=self.point)
        finally:
            self.writer.close()

    def _note(self, event: str, **facts: Any) -> None:
        self.ledger.note(event, self.number, **facts)

    async def _line(self) -> str:
        line = await self.reader.readline()
        if not line.endswith(b"\n"):
            self._note("gone", at=self.point)
            raise _OverError
        self.arrived = self.reader.use(len(line))
        return line.decode("utf-8", "replace").rstrip("\r\n")

    async def _command(self, line: str) -> None:
        match line.partition(" ")[0].upper():
            case "EHLO":
                await self._say(b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
            case "MAIL":
                await self._mail()
            case "RCPT":
                await self._rcpt(line[line.index("<") + 1 : line.rindex(">")])
            case "DATA":
                await self._data()
            case "RSET" | "NOOP" | "HELO":
                self.recipient = ""
                await self._say(b"250 2.0.0 Yes\r\n")
            case "QUIT":
                await self._say(b"221 2.0.0 Bye\r\n")
                self._note("gone", at="quit")
                raise _OverError
            case _:
                await self._say(b"502 5.5.1 What?\r\n")

    async def _mail(self) -> None:
        self.point, self.recipient = "mail", ""
        transaction = next(self.ledger.transactions)
        self._note("mail", arrived=self.arrived, late=round(self.ledger.late, 4))
        turn = self.ledger.temper.mail(transaction)
        self.recipient = "?" if turn.code == 250 else ""
        await self._answer(turn)

    async def _rcpt(self, recipient: str) -> None:
        if not self.recipient:
            await self._say(b"503 5.5.1 MAIL first\r\n")
            return
        self.point = "rcpt"
        self.asked, self.tries = self.ledger.count(recipient), self.ledger.in_vain[recipient]
        self.ledger.in_vain[recipient] += 1
        self._note("rcpt", to=recipient)
        turn = self.ledger.temper.rcpt(recipient, self.asked, self.tries)
        self.recipient = recipient if turn.code == 250 else ""
        await self._answer(turn)

    async def _data(self) -> None:
        if self.recipient in {"", "?"}:
            await self._say(b"503 5.5.1 No recipient\r\n")
            return
        self.point = "data"
        recipient, self.recipient = self.recipient, ""
        turn = self.ledger.temper.data(recipient, self.asked, self.tries)
        await self._answer(turn)
        if turn.code == 354:
            await self._body(recipient)

    async def _body(self, recipient: str) -> None:
        self.point = "body"
        if self.ledger.temper.cuts_body(recipient, self.asked, self.tries):
            self._drop(_identity(await self.reader.read(_LARGEST)))
        try:
            data = await self.reader.readuntil(_END)
        except asyncio.IncompleteReadError as incomplete:
            self._note("gone", at="body", id=_identity(incomplete.partial), octets=len(incomplete.partial))
            raise _OverError from None
        self.point = "dot"
        self.reader.use(len(data))
        name = _identity(data)
        turn = self.ledger.temper.dot(name, self.ledger.count(name))
        self._note("dot", id=name, takes=turn.takes, code=turn.code)
        if turn.takes:
            del self.ledger.in_vain[recipient]
        await asyncio.sleep(turn.seconds)
        await self._answer(turn)

    async def _answer(self, turn: Turn) -> None:
        """Reply, or cut the connection; after a 421 nothing more is said."""
        if turn.code == DROP:
            self._drop()
        await self._say(turn.words)
        self._note("reply", at=self.point, code=turn.code)
        if turn.code == 421:
            await self._part()

    async def _say(self, words: bytes) -> None:
        self.writer.write(words)
        await self.writer.drain()

    def _drop(self, name: str = "") -> None:
        self._note("drop", at=self.point, id=name)
        self.writer.transport.abort()
        raise _OverError

    async def _part(self) -> None:
        """Close so that what was said last arrives: end our side, then read until the client has ended its own."""
        self.writer.write_eof()
        try:
            async with asyncio.timeout(_LINGER):
                while await self.reader.read(65_536):
                    pass
        except (TimeoutError, ConnectionError):
            pass
        self._note("drop", at="421", id="")
        raise _OverError


def _identity(data: bytes) -> str:
    """The left side of its Message-ID: the message's ref; empty where no such line has arrived."""
    found = _ID.search(data)
    return found[1].decode("ascii", "replace").partition("@")[0] if found else ""


async def serve(folder: Path) -> None:
    """Listen, write the ports to `folder/ports`, and go on until killed. `folder/plan.json`: seed, pace and slots."""
    plan = json.loads((folder / "plan.json").read_text())
    ledger = Ledger(folder, Temper(plan["seed"], plan["pace"]))

    loop = asyncio.get_running_loop()

    def protocol(slot: int) -> asyncio.StreamReaderProtocol:
        reader = Arrivals()

        async def held(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await Conversation(ledger, slot, reader, writer).hold()

        return asyncio.StreamReaderProtocol(reader, held, loop=loop)

    servers = [
        await loop.create_server(partial(protocol, slot), "127.0.0.1", 0, backlog=200) for slot in range(plan["slots"])
    ]
    ports = folder / "ports.new"
    ports.write_text(json.dumps([server.sockets[0].getsockname()[1] for server in servers]))
    ports.rename(folder / "ports")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ledger.watch_itself())
        for server in servers:
            tasks.create_task(server.serve_forever())


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
