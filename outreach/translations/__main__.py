"""`python -m outreach.translations`: compile the catalogues; with `extract`, refresh them from the templates first."""

import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from outreach.translations import DOMAIN, LOCALES, catalogue_file, compile_all

ROOT = Path(__file__).parents[2]
METHODS = [
    ("templates/layout/recipient.html", "jinja2"),
    ("templates/recipient/**", "jinja2"),
    ("templates/mail/**", "jinja2"),
    ("templates/layout/member.html", "jinja2"),
    ("templates/member/**", "jinja2"),
    ("templates/parts/invitation.html", "jinja2"),
    ("templates/parts/streams.jinja", "jinja2"),
    ("templates/receipts/**", "jinja2"),
    ("templates/rights/**", "jinja2"),
    ("templates/transparency/**", "jinja2"),
    ("templates/room/**", "jinja2"),
    ("templates/answers/**", "jinja2"),
    ("outreach/web/recipient/**.py", "python"),
    ("outreach/web/member/**.py", "python"),
    ("outreach/web/receipts/**.py", "python"),
    ("outreach/web/rights/**.py", "python"),
    ("outreach/web/transparency/**.py", "python"),
    ("outreach/web/room/**.py", "python"),
    ("outreach/web/answers/**.py", "python"),
    ("outreach/web/asking.py", "python"),
    ("outreach/web/formats.py", "python"),
    ("outreach/web/layout.py", "python"),
    ("outreach/web/faults.py", "python"),
    ("outreach/web/people.py", "python"),
    ("outreach/web/sentences.py", "python"),
]


def template() -> Catalog:
    """Every text recipients read, as the templates have it now."""
    found = Catalog(domain=DOMAIN, project="Outreach")
    for file, line, text, comments, context in extract_from_dir(
        ROOT, METHODS, options_map={"**.html": {"silent": "false"}}, directory_filter=_ours, comment_tags=("Note:",)
    ):
        found.add(text, None, [(file, line)], auto_comments=comments, context=context)
    return found


def refresh() -> None:
    """Bring each catalogue up to the templates: new texts empty, vanished ones dropped."""
    fresh = template()
    for locale in LOCALES[1:]:
        path = catalogue_file(locale)
        path.parent.mkdir(parents=True, exist_ok=True)
        known = Catalog(locale=locale, domain=DOMAIN)
        if path.exists():
            with path.open("rb") as file:
                known = read_po(file, locale=locale, domain=DOMAIN)
        known.update(fresh, no_fuzzy_matching=True)
        with path.open("wb") as file:
            write_po(
                file, known, width=120, ignore_obsolete=True, no_location=True, sort_output=True, omit_header=False
            )


def _ours(folder: str) -> bool:
    return not any(part.startswith((".", "_")) for part in Path(folder).relative_to(ROOT).parts)


if __name__ == "__main__":
    if sys.argv[1:] == ["extract"]:
        refresh()
    compile_all()
