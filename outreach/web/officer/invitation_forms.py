"""What officers type about invitations: the rules, and why they stop, restore or answer somebody."""

from typing import Any

from wtforms import BooleanField, IntegerField, RadioField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange

from outreach.domain.frequency import Cap
from outreach.domain.invitation import Policy
from outreach.services.appeals import KEPT, LIFTED
from outreach.services.invitation_policy import (
    A_DAY,
    DAY_SECONDS,
    KEEP_DAYS,
    MOST_A_MONTH,
    RECIPIENT_DAYS,
    RECIPIENT_N,
)
from outreach.services.reasons import LONGEST_REASON
from outreach.web.forms import Form


def _number(label: str, least: int, most: int) -> IntegerField:
    return IntegerField(label, [InputRequired("Give a number."), NumberRange(least, most)])


def _reason(label: str) -> TextAreaField:
    return TextAreaField(label, [InputRequired("Say why."), Length(max=LONGEST_REASON)])


class PolicyForm(Form):
    """The rules of inviting, and why they change."""

    by_mail = BooleanField("Members may have invitations mailed")
    a_day = _number("Invitations one member may make in 24 hours", A_DAY[0], A_DAY[-1])
    a_month = _number("and in 30 days", 1, MOST_A_MONTH)
    recipient_n = _number("Invitations one mailbox may get, whoever invites", RECIPIENT_N[0], RECIPIENT_N[-1])
    recipient_days = _number("in any so many days", RECIPIENT_DAYS[0], RECIPIENT_DAYS[-1])
    keep_days = _number("Days after which an unanswered address is erased", KEEP_DAYS[0], KEEP_DAYS[-1])
    reason = _reason("Why the rules change")

    def policy(self) -> Policy:
        """The rules as typed; the form has been validated."""
        return Policy(
            by_mail=bool(self.by_mail.data),
            a_day=int(self.a_day.data or 0),
            a_month=int(self.a_month.data or 0),
            recipient=Cap(int(self.recipient_n.data or 0), int(self.recipient_days.data or 0) * DAY_SECONDS),
            keep_days=int(self.keep_days.data or 0),
        )


def typed_policy(policy: Policy) -> dict[str, Any]:
    """The rules in force as the form shows them."""
    return {
        "by_mail": policy.by_mail,
        "a_day": policy.a_day,
        "a_month": policy.a_month,
        "recipient_n": policy.recipient.n,
        "recipient_days": policy.recipient.window // DAY_SECONDS,
        "keep_days": policy.keep_days,
    }


class SuspendForm(Form):
    """Why a member is stopped from inviting."""

    reason = _reason("Why inviting is suspended")


class RestoreForm(Form):
    """Why a member may invite again."""

    reason = _reason("Why they may invite again")


class AnswerForm(Form):
    """The answer to an appeal, and why; nothing is chosen beforehand."""

    answer = RadioField(
        "Your answer",
        [InputRequired("Choose one.")],
        choices={LIFTED: "They may invite again", KEPT: "Inviting stays suspended"},
    )
    reason = _reason("Why; the member reads it")


class ReadForm(Form):
    """Nothing but the button."""
