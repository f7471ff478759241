"""Reading the demo mailbox: the inbox of everybody, open only while this installation lives on this machine alone."""

from dataclasses import dataclass
from pathlib import Path

from outreach.domain.errors import InvalidInputError, NotFoundError
from outreach.hosts import LOOPBACK
from outreach.mail import maildir
from outreach.mail.maildir import Letter, Line
from outreach.services.context import Context

A_PAGE = 30
MOST_FOUND = 100

__all__ = ["Letter", "Letters", "Line", "find_letters", "list_letters", "read_letter"]


@dataclass(frozen=True)
class Letters:
    """One page of the mailbox, newest first. `total`: all letters it holds."""

    lines: tuple[Line, ...]
    total: int
    page: int = 1
    pages: int = 1


def list_letters(ctx: Context, page: int) -> Letters:
    """Page `page`, from 1. Raises NotFoundError when there is no such page or no demo mailbox."""
    folder = _folder(ctx)
    lines, total = maildir.page(folder, (page - 1) * A_PAGE, A_PAGE) if page > 0 else ([], 0)
    if not lines and page != 1:
        raise NotFoundError("There is no such page.")
    return Letters(tuple(lines), total, page, max(1, -(-total // A_PAGE)))


def find_letters(ctx: Context, words: str) -> Letters:
    """Letters to an address typed in full, or with `words` in their subject."""
    folder = _folder(ctx)
    if not words.strip():
        raise InvalidInputError("Type an address in full, or a word of the subject.", "words")
    lines = maildir.find(folder, words, MOST_FOUND)
    return Letters(tuple(lines), len(lines))


def read_letter(ctx: Context, key: str) -> Letter:
    """Raises NotFoundError when there is no such letter or no demo mailbox."""
    return maildir.read(_folder(ctx), key)


def _folder(ctx: Context) -> Path:
    """Where the letters lie. Shown to nobody once mail is real, or the installation reachable from elsewhere."""
    settings = ctx.settings
    if settings.demo_mailbox is None or settings.public_host not in LOOPBACK or settings.listen_host not in LOOPBACK:
        raise NotFoundError("There is no demo mailbox here.")
    return settings.demo_mailbox
