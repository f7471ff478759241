"""How the list is set, called by `mailman shell --run` inside GNU Mailman's own environment."""

from typing import Any


def prepare(mlist: Any) -> None:
    """Each reader gets a mail of their own; anyone may post at once; nothing is archived, digested or announced.

    `personalize = individual` is what makes header and footer hold the reader's name and link. Archives, digests and
    welcomes are work beside the delivery, so the list does without.
    """
    from mailman.config import config  # type: ignore[import-not-found]  # noqa: PLC0415  Mailman's environment alone
    from mailman.interfaces.action import Action  # type: ignore[import-not-found]  # noqa: PLC0415  as above
    from mailman.interfaces.archiver import ArchivePolicy  # type: ignore[import-not-found]  # noqa: PLC0415  as above
    from mailman.interfaces.mailinglist import Personalization  # type: ignore[import-not-found]  # noqa: PLC0415  as above

    mlist.personalize = Personalization.individual
    mlist.default_nonmember_action = Action.accept
    mlist.archive_policy = ArchivePolicy.never
    mlist.digests_enabled = False
    mlist.send_welcome_message = False
    mlist.admin_immed_notify = False
    config.db.commit()
