"""The sheet our mails are written on: Jinja2 templates in `templates/mail`, catalogues, and CSS inlined."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import css_inline
from babel.support import NullTranslations, Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

_ROOT = Path(__file__).parents[2]
TEMPLATES = _ROOT / "templates" / "mail"
CATALOGUES = Path(__file__).parents[1] / "translations"

_INLINER = css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)


def render(template: str, locale: str, **facts: Any) -> str:
    """A template of `templates/mail` in `locale`, English where there is no translation."""
    return environment(locale).get_template(template).render(locale=locale, **facts)


def inline(document: str) -> str:
    """The document with its style rules written on the elements; media queries stay in the head."""
    return _INLINER.inline(document)


def inline_fragment(fragment: str) -> str:
    """A piece of a sheet, styled by the same rules."""
    return _INLINER.inline_fragment(fragment, (TEMPLATES / "mail.css").read_text())


@lru_cache(maxsize=16)
def environment(locale: str) -> Environment:
    """The template environment of one locale such as "sv" or "nl-BE"."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(_catalogue(locale), newstyle=True)  # type: ignore[attr-defined]  # the extension's
    return made


def _catalogue(locale: str) -> NullTranslations:
    names = [locale.replace("-", "_"), locale.replace("_", "-").split("-")[0]]
    return Translations.load(str(CATALOGUES), names)
