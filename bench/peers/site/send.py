"""Makes a list of the first COUNT readers, says "ready", and sends it a newsletter when a line comes in.

Runs inside django-newsletter's environment: `python -m bench.peers.site.send COUNT`. Starting Django, making the list
and writing the message are over before "ready"; after it stand what the administrator's page does, a submission with
its recipients, and the command `submit_newsletter`. Prints how many mails failed.
"""

import logging
import sys
from typing import Any

import django  # type: ignore[import-not-found]  # in django-newsletter's environment alone
from django.core.management import call_command  # type: ignore[import-not-found]

from bench.peers import letter


class Failures(logging.Handler):
    """django-newsletter tells of a mail that could not be sent by an error in its log, and goes on."""

    seen = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            print(record.getMessage(), file=sys.stderr)
            self.seen += 1


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    message = _write(int(sys.argv[1]))
    failures = Failures()
    logging.getLogger("newsletter").addHandler(failures)
    print("ready", flush=True)
    sys.stdin.readline()
    _submit(message)
    call_command("submit_newsletter", verbosity=0)
    print(failures.seen, flush=True)


def _write(count: int) -> Any:
    from django.contrib.sites.models import Site  # type: ignore[import-not-found]  # noqa: PLC0415  once Django is set up
    from newsletter.models import Article, Message, Newsletter, Subscription  # type: ignore[import-not-found]  # noqa: PLC0415
    from newsletter.utils import make_activation_code  # type: ignore[import-not-found]  # noqa: PLC0415

    Site.objects.update(domain=letter.LIST_HOST)
    newsletter = Newsletter.objects.create(title=letter.TITLE, slug="garden", email=letter.SENDER, sender=letter.TITLE)
    Subscription.objects.bulk_create(
        Subscription(
            newsletter=newsletter,
            name_field=reader.name,
            email_field=reader.address,
            subscribed=True,
            activation_code=make_activation_code(),
        )
        for reader in letter.readers(count)
    )
    message = Message.objects.create(title=letter.SUBJECT, slug="sow", newsletter=newsletter)
    Article.objects.create(post=message, title="", text=letter.html(), sortorder=1)
    return message


def _submit(message: Any) -> None:
    from newsletter.models import Submission  # noqa: PLC0415

    submission = Submission.from_message(message)
    submission.prepared = True
    submission.save()


if __name__ == "__main__":
    main()
