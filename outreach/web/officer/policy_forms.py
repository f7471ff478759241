"""What officers type when they change a policy: its value, why, and from when."""

from datetime import time
from typing import Any

from wtforms import BooleanField, IntegerField, SelectField, StringField, TextAreaField, TimeField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from outreach.domain import policies
from outreach.domain.campaign import wall_time
from outreach.domain.errors import InvalidInputError
from outreach.domain.frequency import Cap
from outreach.domain.invitation import Policy
from outreach.domain.policies import DAY_SECONDS, MOST_CAPS, MOST_DAYS, Name, Value
from outreach.domain.policy_kinds import MOST_SOFT_MONTHS
from outreach.services.reasons import LONGEST_REASON
from outreach.web.formats import reader_zone
from outreach.web.forms import Form

_UNITS = {"days": DAY_SECONDS, "hours": 3600}
_CHOICES: Any = list(_UNITS)  # WTForms takes plain texts; its published types do not know yet


def _number(label: str, least: int, most: int) -> IntegerField:
    return IntegerField(label, [InputRequired("Give a number."), NumberRange(least, most)])


class ChangeForm(Form):
    """Why and when; each policy's form adds its value. `value()` is called once the form was validated."""

    start = StringField("Starts", [Optional(), Length(max=16)])
    reason = TextAreaField("Why this changes", [InputRequired("Say why."), Length(max=LONGEST_REASON)])

    def starts(self) -> int | None:
        """UTC microseconds, from the reader's clock; None: as soon as it may. Raises InvalidInputError ("start")."""
        if not self.text("start"):
            return None
        try:
            return wall_time(self.text("start"), str(reader_zone()), "first")
        except InvalidInputError as error:
            raise InvalidInputError(str(error), "start") from None

    def value(self) -> Value:
        """The policy as typed."""
        raise NotImplementedError

    @staticmethod
    def typed(value: Value) -> dict[str, Any]:
        """The value in force, as the form shows it."""
        return dict(value)


class CapsForm(ChangeForm):
    """Rows of a number and a length. Fields of a row stand together."""

    n_1 = IntegerField("At most, mails", [Optional(), NumberRange(0, 1000)])
    length_1 = IntegerField("in any", [Optional(), NumberRange(1, 8784)])
    unit_1 = SelectField("long", choices=_CHOICES)
    n_2 = IntegerField("At most, mails", [Optional(), NumberRange(0, 1000)])
    length_2 = IntegerField("in any", [Optional(), NumberRange(1, 8784)])
    unit_2 = SelectField("long", choices=_CHOICES)
    n_3 = IntegerField("At most, mails", [Optional(), NumberRange(0, 1000)])
    length_3 = IntegerField("in any", [Optional(), NumberRange(1, 8784)])
    unit_3 = SelectField("long", choices=_CHOICES)

    @property
    def rows(self) -> list[tuple[Any, Any, Any]]:
        """The fields of each row."""
        held = self._fields
        return [(held[f"n_{row}"], held[f"length_{row}"], held[f"unit_{row}"]) for row in range(1, MOST_CAPS + 1)]

    def value(self) -> Value:
        found = []
        for n, length, unit in self.rows:
            if (n.data is None) != (length.data is None):
                raise InvalidInputError("Give both the number of mails and the length of time.", field=n.short_name)
            if n.data is not None:
                found.append((int(n.data), int(length.data) * _UNITS[unit.data]))
        return policies.of_caps(*found)

    @staticmethod
    def typed(value: Value) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for row, cap in enumerate(policies.caps_of(value), 1):
            unit = "days" if cap.window % _UNITS["days"] == 0 else "hours"
            shown |= {f"n_{row}": cap.n, f"length_{row}": cap.window // _UNITS[unit], f"unit_{row}": unit}
        return shown


class QuietForm(ChangeForm):
    """Quiet hours, in the recipient's own zone."""

    quiet_from = TimeField("Quiet from", [InputRequired("Give a time.")])
    quiet_to = TimeField("Quiet until", [InputRequired("Give a time.")])

    def value(self) -> Value:
        return {"from": _minutes(self.quiet_from.data), "to": _minutes(self.quiet_to.data)}

    @staticmethod
    def typed(value: Value) -> dict[str, Any]:
        return {"quiet_from": _clock(value["from"]), "quiet_to": _clock(value["to"])}


class RatioForm(ChangeForm):
    """How much is given for each offer."""

    least = _number("Useful mails before each offer, at least", 0, 100)

    def value(self) -> Value:
        return {"least": self.least.data}


class RetentionForm(ChangeForm):
    """How long proof is kept."""

    most_days = _number("Days that proof is kept after a consent ends, at most", 1, MOST_DAYS)

    def value(self) -> Value:
        return {"most_days": self.most_days.data}


class ExpiryForm(ChangeForm):
    """How long a consent lives."""

    most_days = IntegerField("Days a consent lives, at most", [Optional(), NumberRange(1, MOST_DAYS)])

    def value(self) -> Value:
        return {"most_days": self.most_days.data}


class InvitationsForm(ChangeForm):
    """The rules of inviting."""

    by_mail = BooleanField("Members may have invitations mailed")
    a_day = _number("Invitations one member may make in 24 hours", 1, 50)
    a_month = _number("and in 30 days", 1, 200)
    recipient_n = _number("Invitations one mailbox may get, whoever invites", 0, 20)
    recipient_days = _number("in any so many days", 1, 366)
    keep_days = _number("Days after which an unanswered address is erased", 1, 60)

    def value(self) -> Value:
        return policies.of_inviting(
            Policy(
                by_mail=bool(self.by_mail.data),
                a_day=int(self.a_day.data or 0),
                a_month=int(self.a_month.data or 0),
                recipient=Cap(int(self.recipient_n.data or 0), int(self.recipient_days.data or 0) * DAY_SECONDS),
                keep_days=int(self.keep_days.data or 0),
            )
        )

    @staticmethod
    def typed(value: Value) -> dict[str, Any]:
        return {**value, "recipient_days": value["recipient_window"] // DAY_SECONDS}


class ApprovalsForm(ChangeForm):
    """What needs a second person."""

    over = IntegerField("Campaigns that reach more people than", [Optional(), NumberRange(0, 100_000_000)])
    reveals = BooleanField("Every reveal of an address")
    policies = BooleanField("Every change of a policy")

    def value(self) -> Value:
        flags = {"reveals": bool(self.reveals.data), "policies": bool(self.policies.data)}
        return {"campaign_over": self.over.data, **flags}

    @staticmethod
    def typed(value: Value) -> dict[str, Any]:
        return {**value, "over": value["campaign_over"]}


class NoticeForm(ChangeForm):
    """How long before a change people are told."""

    days = _number("Days before a change of which people are told", 1, 90)

    def value(self) -> Value:
        return {"days": self.days.data}


class BouncesForm(ChangeForm):
    """When mail that comes back ends or rests a mailbox."""

    hard = _number("Hard bounces before a mailbox is barred", 1, 5)
    soft = _number("Soft bounces in a row before a mailbox rests", 1, 20)
    rest_days = _number("Days a mailbox rests", 1, 90)

    def value(self) -> Value:
        return {"hard": self.hard.data, "soft": self.soft.data, "rest_days": self.rest_days.data}


class LinesForm(ChangeForm):
    """When a campaign pauses itself."""

    complaints = _number("Complaints in 10,000 mails, at most", 1, 100)
    bounces = _number("Bounces in 10,000 mails, at most", 1, 2000)
    least = _number("Judged from so many mails on", 1, 100_000)

    def value(self) -> Value:
        return {"complaints": self.complaints.data, "bounces": self.bounces.data, "least": self.least.data}


class RepliesForm(ChangeForm):
    """How many replies may wait, and for how long."""

    most = _number("Replies to the last campaign that may wait, at most", 0, 1000)
    days = _number("A reply waits too long after days", 1, 90)
    blocks = BooleanField("The next promotional campaign cannot be scheduled meanwhile")

    def value(self) -> Value:
        return {"most": self.most.data, "days": self.days.data, "blocks": bool(self.blocks.data)}


class RePermissionForm(ChangeForm):
    """Asking once more, before a consent ends."""

    on = BooleanField("People are asked once whether their consent shall go on")
    days_before = _number("Days before it ends", 1, 180)
    silent_days = IntegerField("Also after so many days of silence", [Optional(), NumberRange(90, MOST_DAYS)])

    def value(self) -> Value:
        days = {"days_before": self.days_before.data, "silent_days": self.silent_days.data}
        return {"on": bool(self.on.data), **days}


class SoftOptInForm(ChangeForm):
    """Mail that stands on a purchase."""

    on = BooleanField("A purchase or an inquiry, with its evidence, may carry mail")
    months = _number("Months after the purchase, at most", 1, MOST_SOFT_MONTHS)

    def value(self) -> Value:
        return {"on": bool(self.on.data), "months": self.months.data}


FORMS: dict[Name, type[ChangeForm]] = {
    Name.CAP_PROMOTIONAL: CapsForm,
    Name.CAP_TOTAL: CapsForm,
    Name.QUIET_HOURS: QuietForm,
    Name.GIVE_RATIO: RatioForm,
    Name.RETENTION: RetentionForm,
    Name.EXPIRY: ExpiryForm,
    Name.INVITATIONS: InvitationsForm,
    Name.APPROVALS: ApprovalsForm,
    Name.NOTICE: NoticeForm,
    Name.BOUNCES: BouncesForm,
    Name.LINES: LinesForm,
    Name.REPLIES: RepliesForm,
    Name.RE_PERMISSION: RePermissionForm,
    Name.SOFT_OPT_IN: SoftOptInForm,
}
"""Which form changes which policy."""


def _clock(minutes: int) -> time:
    return time(minutes // 60, minutes % 60)


def _minutes(clock: time | None) -> int:
    return clock.hour * 60 + clock.minute if clock else 0
