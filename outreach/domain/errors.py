"""What can go wrong, in words the person concerned can use. The web maps each to a status in one table."""


class OutreachError(Exception):
    """Base of all errors we raise on purpose. `str(error)` is safe to show: it names no address and no secret."""


class InvalidInputError(OutreachError):
    """Something typed is wrong. `field` names it; the message says what was wrong and what was kept."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotAllowedError(OutreachError):
    """This actor may not do this."""


class NotFoundError(OutreachError):
    """No such thing, or not for this actor: the two look the same."""


class ConflictError(OutreachError):
    """The thing is no longer in a state where this makes sense."""


class TokenError(OutreachError):
    """A link's token is not ours, is for another purpose, or its key was compromised."""


class TokenExpiredError(TokenError):
    """A genuine token past its time. Only purposes that expire raise it."""


class SettingsError(OutreachError):
    """A setting is missing or wrong; the message is one line and names it."""


class AuditError(OutreachError):
    """The log cannot be extended: sealing stopped rather than sign something inconsistent."""
