"""Looks into what a peer sent, before anything is timed: one mail for each reader, with their name and their link."""

import email
import email.policy
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

from bench.peers.letter import Reader
from bench.servers import Sink, sink

_RECIPIENT = re.compile(rb"^X-Rcpt-Args: <([^>]+)>", re.MULTILINE)
_LINK = re.compile(r"https://[^\s\"<>]*unsubscribe[^\s\"<>]*")


@dataclass
class Catch:
    """A sink that keeps every mail as a file, as smtp-sink's manual describes under -d."""

    sink: Sink
    _folder: Path
    _links: set[str] = field(default_factory=set)

    def look(self, readers: list[Reader]) -> int:
        """The median mail's size in octets. Raises AssertionError when a reader has none, two, or another's."""
        files = [file.read_bytes() for file in self._folder.iterdir()]
        recipients = Counter(_recipient(octets) for octets in files)
        assert recipients == Counter(reader.address for reader in readers), "not one mail for each reader"
        names = {reader.address: reader.name for reader in readers}
        for octets in files:
            body = _body(octets)
            found = set(_LINK.findall(body))
            assert names[_recipient(octets)] in body, "a mail without its reader's name"
            assert len(found) == 1, "a mail without its reader's link"
            assert not found & self._links, "a link of two readers"
            self._links |= found
        return int(statistics.median(map(len, files)))


@contextmanager
def caught(folder: Path) -> Iterator[Catch]:
    """A sink whose mails can be looked at, until the block ends."""
    folder.mkdir()
    folder.parent.chmod(0o711)
    folder.chmod(0o777)  # a sink started by root becomes nobody
    with sink("-d", f"{folder}/m.") as receiving:
        yield Catch(receiving, folder)


def _recipient(octets: bytes) -> str:
    found = _RECIPIENT.search(octets)
    assert found, "the sink wrote no recipient"
    return found[1].decode()


def _body(octets: bytes) -> str:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return "\n".join(part.get_content() for part in message.walk() if part.get_content_maintype() == "text")
