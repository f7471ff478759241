"""The base of every form: what was typed as text, and errors of services shown at the field they name."""

from typing import Any

from flask_wtf import FlaskForm

from outreach.domain.errors import OutreachError


class Form(FlaskForm):
    """Flask-WTF's form, whose CSRF field is checked before any view runs."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)  # type: ignore[no-untyped-call]  # Flask-WTF has no types

    def text(self, name: str) -> str:
        """What was typed in a field, without the spaces around it; empty when nothing was."""
        return str(self._fields[name].data or "").strip()

    def secret(self, name: str) -> str:
        """What was typed in a password field, untouched."""
        return str(self._fields[name].data or "")

    def fail(self, error: OutreachError) -> None:
        """Show a service's refusal at the field it names, or above the form."""
        field = self._fields.get(getattr(error, "field", ""))
        if field is None:
            self.form_errors.append(str(error))
        else:
            field.errors = [*field.errors, str(error)]
