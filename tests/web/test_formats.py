"""How instants, numbers and promises read, in the reader's zone and language."""

from flask import Flask

from outreach.web import formats

MOMENT = 1_795_442_520_000_000  # 23 November 2026, 14:02 UTC


def test_an_instant_is_shown_in_the_readers_zone_with_utc_on_hover(app: Flask) -> None:
    with app.test_request_context("/"):
        formats.speak("en", "Europe/Stockholm")
        html = str(formats.instant(MOMENT))
    assert ">23 November 2026, 15:02<" in html
    assert 'datetime="2026-11-23T14:02:00+00:00"' in html
    assert 'title="2026-11-23 14:02 UTC"' in html


def test_recipients_read_numbers_and_months_their_way(app: Flask) -> None:
    with app.test_request_context("/"):
        formats.speak("sv")
        assert formats.number(11904) == "11\xa0904"
        assert "november" in str(formats.instant(MOMENT))


def test_frequencies_read_as_people_say_them(app: Flask) -> None:
    with app.test_request_context("/"):
        formats.speak("en")
        day = 86400
        said = [formats.frequency(n, window) for n, window in ((1, day), (2, 7 * day), (4, 30 * day), (5, 10 * day))]
        assert said == ["1 a day", "2 a week", "4 a month", "5 in 10 days"]
        assert [formats.duration(seconds) for seconds in (7 * day, day, 7200, 60)] == [
            "7 days",
            "1 day",
            "2 hours",
            "1 minute",
        ]


def test_nothing_reads_as_a_dash(app: Flask) -> None:
    with app.test_request_context("/"):
        assert (str(formats.instant(None)), str(formats.day(None))) == ("–", "–")


def test_a_language_we_do_not_speak_falls_back_to_the_browsers_then_english(app: Flask) -> None:
    for query, accepts, expected in (("?lang=nl", "sv", "1.200"), ("?lang=xx", "sv", "1\xa0200"), ("", "fr", "1,200")):
        with app.test_request_context(f"/sign-in{query}", headers={"Accept-Language": accepts}):
            assert formats.number(1200) == expected
