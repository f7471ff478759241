"""Queues one newsletter for the first COUNT readers, says "ready", and submits it when a line comes in.

Runs inside django-newsletter's environment: `python -m bench.peers.site.send COUNT`. Starting Django and making the
list are over before "ready"; after it stands what the command `submit_newsletter` does. Prints how many mails failed.
"""

import logging
import sys

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
    _queue(int(sys.argv[1]))
    failures = Failures()
    logging.getLogger("newsletter").addHandler(failures)
    print("ready", flush=True)
    sys.stdin.readline()
    call_command("submit_newsletter", verbosity=0)
    print(failures.seen, flush=True)


def _queue(count: int) -> None:
    from django.contrib.sites.models import Site  # type: ignore[import-not-found]  # noqa: PLC0415  once Django is set up
    from newsletter.models import Article, Message, Newsletter, Submission, Subscription  # type: ignore[import-not-found]  # noqa: PLC0415
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
    submission = Submission.from_message(message)
    submission.prepared = True
    submission.save()


if __name__ == "__main__":
    main()
