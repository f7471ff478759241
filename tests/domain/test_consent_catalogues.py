"""Every text a recipient reads exists in every language, with the same placeholders and every plural."""

import re
from collections.abc import Sequence

import pytest
from babel.messages.pofile import read_po

from outreach.translations import LOCALES, catalogue, catalogue_file, closest, direction, name_of
from outreach.translations.__main__ import template

_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")


def _forms(text: str | Sequence[str] | None) -> list[str]:
    return [text] if isinstance(text, str) else list(text or [])


@pytest.mark.parametrize("locale", LOCALES[1:])
def test_every_text_is_translated_in_every_plural(locale: str) -> None:
    with catalogue_file(locale).open("rb") as file:
        known = read_po(file, locale=locale)
    texts = [message for message in template() if message.id]
    assert len(texts) > 100
    missing = []
    for text in texts:
        found = known.get(text.id if isinstance(text.id, str) else text.id[0])
        forms = _forms(found.string) if found else []
        if not forms or not all(forms) or (text.pluralizable and len(forms) != known.num_plurals):
            missing.append(text.id)
    assert missing == []


@pytest.mark.parametrize("locale", LOCALES[1:])
def test_translations_hold_the_placeholders_of_their_text_and_nothing_stale(locale: str) -> None:
    with catalogue_file(locale).open("rb") as file:
        known = read_po(file, locale=locale)
    wanted = {_forms(message.id)[0] for message in template() if message.id}
    assert {_forms(message.id)[0] for message in known if message.id} == wanted
    for message in known:
        if message.id:
            allowed = set(_PLACEHOLDER.findall(" ".join(_forms(message.id))))
            used = set(_PLACEHOLDER.findall(" ".join(_forms(message.string))))
            assert used == allowed, message.id


def test_catalogues_speak_and_unknown_languages_fall_back_to_english() -> None:
    assert catalogue("sv").gettext("Confirmed") == "Bekräftat"
    assert catalogue("nl").gettext("Confirmed") == "Bevestigd"
    assert catalogue("de").gettext("Confirmed") == "Confirmed"


def test_language_tags_find_the_closest_of_ours() -> None:
    assert [closest(tag) for tag in ("sv-SE", "nl_BE", "EN", "de", "")] == ["sv", "nl", "en", None, None]
    assert (name_of("sv"), direction("sv")) == ("Svenska", "ltr")
