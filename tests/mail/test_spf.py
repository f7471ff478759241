"""SPF (RFC 7208): what each mechanism matches, what a record may not say, and that nobody makes us ask for ever."""

import pytest

from outreach.mail.spf import Spf, check_host
from tests.mail.names import Table

IP = "192.0.2.25"
WIDE = {
    ("mail.a.example", "A"): ["192.0.2.25"],
    ("a.example", "A"): ["192.0.2.80"],
    ("a.example", "MX"): ["mail.a.example"],
    ("six.a.example", "AAAA"): ["2001:db8::25"],
    ("pass.example", "TXT"): ["v=spf1 ip4:192.0.2.0/24 -all"],
    ("fail.example", "TXT"): ["v=spf1 -all"],
    ("soft.example", "TXT"): ["v=spf1 ~all"],
    ("25.2.0.192.listed.example", "A"): ["127.0.0.2"],
    ("anna.users.example", "A"): ["127.0.0.2"],
}


def result(record: str | None, *, ip: str = IP, mail_from: str = "anna@a.example", **more: list[str]) -> Spf:
    records = dict(WIDE) | {("a.example", "TXT"): [record] if record is not None else []}
    records |= {(name.replace("_", "."), "TXT"): texts for name, texts in more.items()}
    return check_host(ip, mail_from=mail_from, helo="mail.a.example", resolver=Table(records))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (None, Spf.NONE),
        ("v=spf10 +all", Spf.NONE),
        ("v=spf1", Spf.NEUTRAL),
        ("v=spf1 -all", Spf.FAIL),
        ("V=SPF1 ~ALL", Spf.SOFTFAIL),
        ("v=spf1 ?all", Spf.NEUTRAL),
        ("v=spf1  ip4:192.0.2.25   -all", Spf.PASS),
        ("v=spf1 ip4:192.0.2.0/27 -all", Spf.PASS),
        ("v=spf1 ip4:192.0.2.64/27 -all", Spf.FAIL),
        ("v=spf1 ip6:2001:db8::/32 -all", Spf.FAIL),
        ("v=spf1 a -all", Spf.FAIL),
        ("v=spf1 a/24 -all", Spf.PASS),
        ("v=spf1 a:mail.a.example -all", Spf.PASS),
        ("v=spf1 mx -all", Spf.PASS),
        ("v=spf1 -mx +all", Spf.FAIL),
        ("v=spf1 include:pass.example -all", Spf.PASS),
        ("v=spf1 include:fail.example ~all", Spf.SOFTFAIL),
        ("v=spf1 redirect=pass.example", Spf.PASS),
        ("v=spf1 redirect=fail.example", Spf.FAIL),
        ("v=spf1 ?all redirect=fail.example", Spf.NEUTRAL),
        ("v=spf1 exists:%{ir}.listed.example -all", Spf.PASS),
        ("v=spf1 exists:%{l}.users.example -all", Spf.PASS),
        ("v=spf1 exists:%{d2}.nowhere.example -all", Spf.FAIL),
        ("v=spf1 ptr -all", Spf.FAIL),
        ("v=spf1 unknown=thing ip4:192.0.2.25 exp=why.a.example -all", Spf.PASS),
    ],
)
def test_what_a_record_says(record: str | None, expected: Spf) -> None:
    assert result(record) is expected


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 ip4:192.0.2 -all",
        "v=spf1 ip4:192.0.2.0/33 -all",
        "v=spf1 ip6:192.0.2.1 -all",
        "v=spf1 a/33 -all",
        "v=spf1 a//129 -all",
        "v=spf1 all:x.example",
        "v=spf1 include -all",
        "v=spf1 exists -all",
        "v=spf1 include:nowhere.example +all",
        "v=spf1 redirect=nowhere.example",
        "v=spf1 redirect=a.example redirect=b.example",
        "v=spf1 exp= +all",
        "v=spf1 allow:x.example +all",
        "v=spf1 ,all",
        "v=spf1 exists:%{x}.example +all",
        "v=spf1 exists:%(d).example +all",
        "v=spf1 exists:%{d0}.example +all",
    ],
)
def test_a_record_that_says_what_it_may_not_lets_nobody_pass(record: str) -> None:
    assert result(record) is Spf.PERMERROR


def test_two_records_are_an_error() -> None:
    records = {("a.example", "TXT"): ["v=spf1 +all", "v=spf1 -all"]}
    assert check_host(IP, mail_from="x@a.example", helo="h.example", resolver=Table(records)) is Spf.PERMERROR


def test_other_texts_beside_the_record_do_not_matter() -> None:
    records = {("a.example", "TXT"): ["some-site-verification=1", "v=spf1 +all"]}
    assert check_host(IP, mail_from="x@a.example", helo="h.example", resolver=Table(records)) is Spf.PASS


def test_ipv6_hosts_and_ipv4_in_their_clothes() -> None:
    assert result("v=spf1 ip6:2001:db8::/32 -all", ip="2001:db8::25") is Spf.PASS
    assert result("v=spf1 a:six.a.example//128 -all", ip="2001:db8::25") is Spf.PASS
    assert result("v=spf1 a:six.a.example -all", ip="2001:db8::26") is Spf.FAIL
    assert result("v=spf1 ip4:192.0.2.25 -all", ip="::ffff:192.0.2.25") is Spf.PASS


def test_a_null_sender_is_checked_by_the_name_of_helo() -> None:
    records = {("mail.a.example", "TXT"): ["v=spf1 ip4:192.0.2.25 -all"]}
    assert check_host(IP, mail_from="", helo="mail.a.example", resolver=Table(records)) is Spf.PASS
    assert check_host(IP, mail_from="", helo="[192.0.2.25]", resolver=Table(records)) is Spf.NONE


def test_no_more_than_ten_terms_ask_the_dns() -> None:
    records = {(f"l{n}.example", "TXT"): [f"v=spf1 include:l{n + 1}.example -all"] for n in range(40)}
    records["l40.example", "TXT"] = ["v=spf1 +all"]
    table = Table(records)
    assert check_host(IP, mail_from="x@l0.example", helo="h.example", resolver=table) is Spf.PERMERROR
    assert len(table.asked) == 11  # the record itself is not counted
    ten = {("t.example", "TXT"): ["v=spf1 " + " ".join(f"a:h{n}.example" for n in range(10)) + " +all"]}
    ten |= {(f"h{n}.example", "A"): ["198.51.100.1"] for n in range(10)}
    assert check_host(IP, mail_from="x@t.example", helo="h.example", resolver=Table(ten)) is Spf.PASS


def test_a_record_that_leads_to_itself_ends() -> None:
    records = {("a.example", "TXT"): ["v=spf1 include:a.example redirect=a.example"]}
    assert check_host(IP, mail_from="x@a.example", helo="h.example", resolver=Table(records)) is Spf.PERMERROR


def test_a_third_question_into_the_void_ends_it() -> None:
    two = "v=spf1 a:v1.example a:v2.example ip4:192.0.2.25 -all"
    assert result(two) is Spf.PASS
    assert result(two.replace("ip4", "a:v3.example ip4")) is Spf.PERMERROR


def test_more_than_ten_exchanges_are_an_error() -> None:
    records = {("a.example", "TXT"): ["v=spf1 mx +all"], ("a.example", "MX"): [f"m{n}.example" for n in range(11)]}
    assert check_host(IP, mail_from="x@a.example", helo="h.example", resolver=Table(records)) is Spf.PERMERROR


def test_no_answer_now_is_no_answer_for_ever() -> None:
    records = {("a.example", "TXT"): ["v=spf1 include:b.example -all"]}
    table = Table(records, frozenset({"b.example"}))
    assert check_host(IP, mail_from="x@a.example", helo="h.example", resolver=table) is Spf.TEMPERROR


@pytest.mark.parametrize("sender", ["x@", "x@one", "x@" + "a" * 64 + ".example", "x@a..example", "nobody"])
def test_what_is_no_domain_has_no_record(sender: str) -> None:
    table = Table()
    assert check_host(IP, mail_from=sender, helo="h.example", resolver=table) is Spf.NONE
