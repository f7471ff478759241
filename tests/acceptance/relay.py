"""A real SMTP server of the rehearsal's own, as a process: takes what the product sends and writes down when.

Offers PIPELINING, 8BITMIME and SMTPUTF8. What it has noted as taken is taken, whether or not the client lived to read
the reply. `plans` says which recipients it first turns away. `XPACE <ms>` is the one verb that is not SMTP's.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

_REPLIES = {
    250: b"250 2.1.5 Go on\r\n",
    421: b"421 4.3.2 Come back later\r\n",
    451: b"451 4.7.1 Greylisted, try again later\r\n",
    452: b"452 4.2.2 Mailbox full\r\n",
    550: b"550 5.1.1 No such user\r\n",
}
_NAP = 0.02


@dataclass
class Post:
    """What all connections share: the ledger they write and the plan of refusals.

    `plans`: recipient → reply codes of its first RCPTs, then 250; a list that ends in 0 repeats the code before it.
    """

    folder: Path
    plans: dict[str, list[int]]
    pace: float = 0.0
    late: float = 0.0
    tries: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._ledger = os.open(self.folder / "ledger.jsonl", flags, 0o600)
        self._letters = os.open(self.folder / "letters", flags, 0o600)
        self._size = 0

    async def watch_itself(self) -> None:
        """Know how late this process may be reading: what its own naps take too long, forgotten slowly."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(_NAP)
            self.late = max(time.monotonic() - began - _NAP, self.late * 0.98)

    def answer(self, recipient: str) -> int:
        """The reply code for this RCPT."""
        plan = self.plans.get(recipient, [])
        number = self.tries.get(recipient, 0)
        self.tries[recipient] = number + 1
        if plan and plan[-1] == 0 and number >= len(plan) - 1:
            return plan[-2]
        return plan[number] if number < len(plan) else 250

    def note(self, begun: float, recipient: str, code: int, data: bytes = b"") -> None:
        """One line of the ledger, and the letter it speaks of."""
        if data:
            os.write(self._letters, data)
        line = {"begun": begun, "ended": time.monotonic(), "late": self.late, "to": recipient, "code": code}
        os.write(self._ledger, (json.dumps(line | {"at": self._size, "size": len(data)}) + "\n").encode())
        self._size += len(data)


class Conversation:
    """One client."""

    def __init__(self, post: Post, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.post, self.reader, self.writer = post, reader, writer
        self.begun = 0.0
        self.recipient = ""
        self.taken = False

    async def hold(self) -> None:
        """Talk until the client leaves. What was begun and not ended is noted with code 0."""
        self.writer.write(b"220 relay.example ESMTP\r\n")
        try:
            while await self._command():
                await self.writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if self.begun:
                self.post.note(self.begun, self.recipient, 0)
            self.writer.close()

    async def _command(self) -> bool:
        line = (await self.reader.readline()).decode("utf-8", "replace").rstrip("\r\n")
        verb = line.partition(" ")[0].upper()
        match verb:
            case "EHLO":
                self.writer.write(b"250-relay.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
            case "MAIL":
                self.begun, self.recipient, self.taken = time.monotonic(), "", False
                self.writer.write(b"250 2.1.0 Go on\r\n")
            case "RCPT":
                self._recipient(line)
            case "DATA":
                await self._data()
            case "XPACE":
                self.post.pace = float(line.split()[1]) / 1000
                self.writer.write(b"250 2.0.0 Noted\r\n")
            case "RSET" | "NOOP" | "HELO":
                self.begun = 0.0
                self.writer.write(b"250 2.0.0 Yes\r\n")
            case "QUIT" | "":
                return False
            case _:
                self.writer.write(b"502 5.5.1 What?\r\n")
        return True

    def _recipient(self, line: str) -> None:
        self.recipient = line[line.index("<") + 1 : line.rindex(">")]
        code = self.post.answer(self.recipient)
        self.taken = code == 250
        if not self.taken:
            self.post.note(self.begun, self.recipient, code)
            self.begun = 0.0
        self.writer.write(_REPLIES[code])

    async def _data(self) -> None:
        if not self.taken:
            self.writer.write(b"503 5.5.1 No recipient\r\n")
            return
        self.writer.write(b"354 Go on\r\n")
        await self.writer.drain()
        data = (await self.reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
        begun, self.begun, self.taken = self.begun, 0.0, False
        self.post.note(begun, self.recipient, 250, data)
        if self.post.pace:
            await asyncio.sleep(self.post.pace)
        self.writer.write(b"250 2.0.0 Taken\r\n")


async def serve(folder: Path) -> None:
    """Listen on a free port of this machine, write it to `folder/port`, and go on until killed."""
    post = Post(folder, json.loads((folder / "plans.json").read_text()))

    async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Conversation(post, reader, writer).hold()

    server = await asyncio.start_server(held, "127.0.0.1", 0, limit=2**22)
    port = folder / "port.new"
    port.write_text(str(server.sockets[0].getsockname()[1]))
    port.rename(folder / "port")
    async with server, asyncio.TaskGroup() as tasks:
        tasks.create_task(post.watch_itself())
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
