"""Settings: what is wrong is named in one line that does not repeat it; the environment goes before the file."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from limits import parse

from outreach.cli import running
from outreach.config import Settings, load_settings
from outreach.domain.errors import SettingsError
from outreach.services.context import open_context
from outreach.store.migrate import upgrade
from tests.foundations.installation import Installation

SECRET = "zz-secret-zz"
RELAY = {"OUTREACH_RELAYS__MAIN__HOST": "smtp.example.net"}
HTTPS = {"OUTREACH_PUBLIC_URL": "https://mail.northfield.example"}


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance folder that the environment names, and no other setting."""
    for name in [name for name in os.environ if name.startswith("OUTREACH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OUTREACH_INSTANCE", str(tmp_path))
    return tmp_path


def refused(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """The one line with which these settings are refused."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    line = str(caught.value)
    assert "\n" not in line
    assert SECRET not in line
    return line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen_port", SECRET),
        ("listen_port", "65536"),
        ("demo_smtp_port", "0"),
        ("trusted_proxies", "-1"),
        ("confirmations_per_mailbox", "0"),
        ("confirmations_per_network", SECRET),
        ("confirmations_total", "1.5"),
        ("sign_up_seconds", "-1"),
        ("log_level", SECRET),
        ("database_url", f"mysql://outreach:{SECRET}@127.0.0.1/outreach"),
        ("former_hosts", SECRET),
        ("feedback_domains", f'["{SECRET}"]'),
        ("http_limit", SECRET),
        ("sign_in_limit", f"10/{SECRET}"),
        ("relays", SECRET),
    ],
)
def test_a_wrong_setting_in_the_environment_is_named(
    instance: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    line = refused(monkeypatch, **{f"OUTREACH_{name.upper()}": value})
    assert line.startswith(f"{name}: ")
    assert value not in line


@pytest.mark.parametrize("name", ["OUTREACH_PUBLC_URL", "OUTREACH_RELAY__MAIN__HOST"])
def test_a_variable_that_is_no_setting_is_named(instance: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert refused(monkeypatch, **{name: SECRET}).startswith(f"{name}: ")


@pytest.mark.parametrize(
    "url",
    [
        f"{SECRET}.example",
        f"ftp://{SECRET}.example",
        f"https://mail.example/{SECRET}",
        "https://",
        f"https://[{SECRET}",
        f"https://mail.example?{SECRET}",
        f"https://outreach:{SECRET}@mail.example",
        f"https://mail.example:{SECRET}",
        f"https://{SECRET}\u2100.example",
    ],
)
def test_an_address_that_is_not_a_plain_one_is_refused(
    instance: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    assert refused(monkeypatch, OUTREACH_PUBLIC_URL=url).startswith("public_url: ")


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        (f'listen_port = "{SECRET}"', "listen_port: "),
        (f'former_hosts = "{SECRET}"', "former_hosts: "),
        (f'publc_url = "https://{SECRET}.example"', "publc_url: "),
        (f'[relays.main]\nhost = "{SECRET}"\npassord = "{SECRET}"', "relays.main.passord: "),
        (f'[relays.main]\nhost = "{SECRET}"\nport = "{SECRET}"', "relays.main.port: "),
        (f'[relays.main]\nhost = "{SECRET}"\nsecurity = "{SECRET}"', "relays.main.security: "),
        (f'[relays.main]\nusername = "{SECRET}"', "relays.main.host: "),
    ],
)
def test_a_wrong_missing_or_unknown_setting_in_the_file_is_named(
    instance: Path, monkeypatch: pytest.MonkeyPatch, setting: str, named: str
) -> None:
    (instance / "outreach.toml").write_text(setting)
    assert refused(monkeypatch).startswith(named)


@pytest.mark.parametrize(
    "content",
    [
        f"public_url = {SECRET}".encode(),
        f'password = "{SECRET}'.encode(),
        f'password = "\\q{SECRET}"'.encode(),
        f"[relays.main\n{SECRET}".encode(),
        f'password = "{SECRET}"\npassword = "{SECRET}"'.encode(),
        b"\xff\xfe" + SECRET.encode(),
    ],
)
def test_a_file_that_does_not_parse_is_named(instance: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    (instance / "outreach.toml").write_bytes(content)
    assert refused(monkeypatch).startswith("outreach.toml: ")


@pytest.mark.parametrize(
    "home", ["http://mail.northfield.example", "https://127.0.0.1", "https://localhost:8460", "https://[::1]"]
)
def test_a_relay_needs_a_lasting_https_home(instance: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    assert refused(monkeypatch, OUTREACH_PUBLIC_URL=home, **RELAY).startswith("public_url: ")


def test_a_relay_does_not_stand_on_the_default_address(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(monkeypatch, **RELAY).startswith("public_url: ")


def test_a_moved_clock_is_refused_where_mail_leaves_this_machine(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = {"OUTREACH_CLOCK_FILE": str(instance / "clock")}
    assert refused(monkeypatch, **HTTPS, **RELAY, **moved).startswith("clock_file: ")


def test_a_moved_clock_is_taken_where_every_relay_is_this_machine(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = HTTPS | {"OUTREACH_RELAYS__MAIN__HOST": "127.0.0.1", "OUTREACH_CLOCK_FILE": str(instance / "clock")}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert load_settings().clock_file == instance / "clock"


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (instance / "outreach.toml").write_text("listen_port = 1001\nsign_up_seconds = 7\n")
    monkeypatch.setenv("OUTREACH_LISTEN_PORT", "1002")
    settings = load_settings()
    assert (settings.listen_port, settings.sign_up_seconds) == (1002, 7)
    assert settings.demo_smtp_port == Settings.model_fields["demo_smtp_port"].default


def test_one_relay_may_come_from_both(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (instance / "outreach.toml").write_text(
        'public_url = "https://mail.northfield.example"\n[relays.main]\nhost = "smtp.example.net"\nport = 2525\n'
    )
    monkeypatch.setenv("OUTREACH_RELAYS__MAIN__PASSWORD", SECRET)
    settings = load_settings()
    relay = settings.relay("main")
    assert (relay.host, relay.port, relay.password.get_secret_value()) == ("smtp.example.net", 2525, SECRET)
    assert SECRET not in repr(settings)


def test_an_empty_variable_counts_as_not_set(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_LISTEN_PORT", "")
    assert load_settings().listen_port == Settings.model_fields["listen_port"].default


def test_without_a_relay_all_mail_goes_to_the_demo_mailbox(instance: Path) -> None:
    settings = load_settings()
    assert settings.demo_mailbox == instance / "mailbox"
    relay = settings.relay("whatever a sender names")
    assert (relay.host, relay.port) == ("127.0.0.1", settings.demo_smtp_port)


def test_with_a_relay_the_demo_mailbox_is_off(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (HTTPS | RELAY).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.demo_mailbox is None
    with pytest.raises(SettingsError, match="another"):
        settings.relay("another")


@pytest.mark.parametrize(
    ("toml", "environment", "named"),
    [
        ("", {"OUTREACH_LISTEN_PORT": SECRET}, "listen_port"),
        (f'[relays.main]\nhost = "{SECRET}"\npassord = "{SECRET}"', {}, "relays.main.passord"),
        (f"public_url = {SECRET}", {}, "outreach.toml"),
        ("", RELAY, "public_url"),
        ("", {"OUTREACH_DATABASE_URL": "sqlite:///:memory:"}, "database_url"),
        ("", {"OUTREACH_DATABASE_URL": f"postgresql://outreach:{SECRET}@127.0.0.1:1/outreach"}, "database_url"),
        ("", {"OUTREACH_DATABASE_URL": f"postgresql://outreach:{SECRET}@127.0.0.1:port/outreach"}, "database_url"),
        ("", {"OUTREACH_DATABASE_URL": f"sqlite:////{SECRET}/outreach.db"}, "database_url"),
    ],
)
def test_the_command_line_says_it_in_one_line_and_starts_nothing(
    tmp_path: Path, toml: str, environment: dict[str, str], named: str
) -> None:
    here = Installation(tmp_path, environment)
    here.instance.mkdir()
    (here.instance / "outreach.toml").write_text(toml)
    ended = here.ask("upgrade")
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"outreach: {named}: ")
    assert SECRET not in line
    assert {path.name for path in here.instance.iterdir()} <= {"outreach.toml", "keys.json"}


@pytest.mark.parametrize(
    ("processes", "share"),
    [(1, "120 per 1 minute"), (2, "60 per 1 minute"), (64, "1 per 1 minute"), (7, "17 per 1 minute")],
)
def test_web_processes_together_let_through_no_more_than_the_limit(
    monkeypatch: pytest.MonkeyPatch, instance: Path, processes: int, share: str
) -> None:
    assert instance.is_dir()
    monkeypatch.setenv("OUTREACH_WEB_PROCESSES", str(processes))
    ctx = open_context(load_settings())
    upgrade(ctx.db)
    ctx.db.dispose()
    for name in ("OUTREACH_HTTP_LIMIT", "OUTREACH_SIGN_IN_LIMIT"):
        monkeypatch.setenv(name, "120/minute")
    started: list[str] = []
    monkeypatch.setattr(running, "end_with_parent", lambda: None)
    monkeypatch.setattr(os, "execv", lambda _program, words: started.extend(words))
    assert CliRunner().invoke(running.web).exit_code == 0
    assert started[started.index("--workers") + 1] == str(processes)
    assert (os.environ["OUTREACH_HTTP_LIMIT"], os.environ["OUTREACH_SIGN_IN_LIMIT"]) == (share, share)
    assert parse(share).amount * processes <= 120
