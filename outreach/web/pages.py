"""Templates compiled once a language: what says the same each time is put into words then, not on every page."""

from collections.abc import MutableMapping
from gettext import NullTranslations
from typing import Any, cast

from flask.templating import Environment
from flask_babel import get_locale
from jinja2 import Template, nodes
from jinja2.ext import InternationalizationExtension

from outreach import translations


class _InWords(InternationalizationExtension):
    """`{% trans %}` as words of one language; plurals are chosen as the page is made."""

    catalogue: NullTranslations

    def speak(self, catalogue: NullTranslations) -> None:
        """Take the words from here."""
        self.catalogue = catalogue
        self._install(catalogue, newstyle=True)

    def _make_node(
        self,
        singular: str,
        plural: str | None,
        context: str | None,
        variables: dict[str, nodes.Expr],
        plural_expr: nodes.Expr | None,
        vars_referenced: bool,
        num_called_num: bool,
    ) -> nodes.Output:
        if plural is not None or context is not None:
            more = (variables, plural_expr, vars_referenced, num_called_num)
            return super()._make_node(singular, plural, context, *more)
        words = self.catalogue.gettext(singular)
        if not variables:
            return nodes.Output([nodes.TemplateData(words % {})])
        given = nodes.Dict([nodes.Pair(nodes.Const(name), value) for name, value in variables.items()])
        return nodes.Output([nodes.Mod(nodes.MarkSafe(nodes.Const(words)), given)])


class Pages(Environment):
    """The application's templates, in the language of the page that is being made."""

    language = ""

    def get_template(
        self,
        name: str | Template,
        parent: str | None = None,
        globals: MutableMapping[str, Any] | None = None,
    ) -> Template:
        """The template in the present language; what it extends and imports comes in the same."""
        if self.overlayed:
            return super().get_template(name, parent, globals)
        locale = get_locale()
        return self.speaking(locale.language if locale else "").get_template(name, parent, globals)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """One dictionary for all templates: Jinja's chain of two is walked anew for each template of a page."""
        return {**self.globals, **d} if d else self.globals

    def speaking(self, language: str) -> "Pages":
        """The same templates in one of our languages, English for any other."""
        spoken: dict[str, Pages] = self.__dict__.setdefault("spoken", {})
        code = language if language in translations.LOCALES else translations.LOCALES[0]
        if code not in spoken:
            spoken[code] = self._translated(code)
        return spoken[code]

    def _translated(self, code: str) -> "Pages":
        made = self.overlay(extensions=[_InWords])
        made.globals, made.language = dict(self.globals), code
        cast(_InWords, made.extensions[_InWords.identifier]).speak(translations.catalogue(code))
        return made
