"""The sheet our mails are written on: Jinja2 templates in `templates/mail`, catalogues, and CSS inlined."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from outreach import translations

TEMPLATES = Path(__file__).parents[2] / "templates" / "mail"

_INLINER = css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)


def render(template: str, locale: str, facts: Mapping[str, Any]) -> str:
    """A template of `templates/mail` in `locale`, English where there is no translation."""
    return environment(locale).get_template(template).render({"locale": locale, **facts})


def block(template: str, name: str, locale: str, facts: Mapping[str, Any]) -> str:
    """One block of a template, alone."""
    found = environment(locale).get_template(template)
    return "".join(found.blocks[name](found.new_context({"locale": locale, **facts})))


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
        autoescape=select_autoescape(["html", "jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(translations.catalogue(translations.closest(locale) or "en"), newstyle=True)  # type: ignore[attr-defined]  # the extension's
    return made
