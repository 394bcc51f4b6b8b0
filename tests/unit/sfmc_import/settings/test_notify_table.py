"""The lines of a [[notify]], its secrets, and what is said when something is missing or wrong."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from sfmc_import.errors import SettingsError
from sfmc_import.notifications.opening import chosen, open_senders
from sfmc_import.settings import Settings, load
from sfmc_import.settings.notify_table import WORTH_KNOWING, check_event

HOOK = '[[notify]]\nname = "team-hook"\nkind = "webhook"\nurl = "https://example.com/in"\n'
SLACK = '[[notify]]\nname = "ops"\nkind = "slack"\n'
MAIL = '[[notify]]\nname = "post"\nkind = "mail"\nhost = "h"\nsender = "a@b.c"\nto = "x@y.z"\n'
SECRET = "whsec_" + base64.b64encode(b"a-secret-of-this-test-32-bytes!!").decode()

Read = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_text(text: str, **env: str) -> Settings:
        (tmp_path / "p.toml").write_text(text)
        return load({"SFMC_CONFIG": str(tmp_path / "p.toml"), **env})

    return read_text


def test_a_notification_is_about_what_a_person_should_know_unless_it_says_otherwise(read: Read) -> None:
    found = read(HOOK + SLACK + 'events = "operator.*"\nkeys = ["A*", "B*"]\n').notifications

    assert (found["team-hook"].events, found["team-hook"].keys) == (WORTH_KNOWING, ("*",))
    assert (found["ops"].events, found["ops"].keys) == (("operator.*",), ("A*", "B*"))
    assert (found["team-hook"].digest, found["ops"].digest) == (0.0, 30.0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[notify]]\nname = "x"\nkind = "pager"\n', "there is no such kind; use one of webhook, slack, teams, mail"),
        (HOOK + HOOK, "team-hook"),
        (HOOK + "evnets = []\n", "did you mean events"),
        (HOOK + "events = []\n", "events"),
        (HOOK + 'events = "import_fails"\n', "no event has this name"),
        (HOOK + 'events = ["*", "operators.*"]\n', "no event has this name"),
        (HOOK + 'digest_seconds = "2h"\n', "digest_seconds"),
        (HOOK + "max_events = 0\n", "max_events"),
        (HOOK + 'claim_after = "10s"\n', "claim_after must be longer than timeout"),
        (HOOK.replace("https://example.com/in", "ftp://example.com"), "url"),
        (HOOK.replace("https://example.com/in", "https://u:p@example.com"), "login"),
        (MAIL.replace("x@y.z", "x@y.z\\r\\nBcc: e@v.il"), "to"),
        (MAIL.replace('host = "h"\n', ""), "host"),
        (MAIL + 'username = "u"\nsecurity = "none"\n', "username without TLS"),
    ],
)
def test_a_wrong_line_is_said_when_the_settings_are_read(read: Read, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(text)

    assert complaint in str(caught.value)
    assert "u:p" not in str(caught.value)


def test_a_secret_of_a_notification_that_there_is_not_is_said(read: Read) -> None:
    with pytest.raises(SettingsError, match="SFMC_NOTIFY_OTHER_URL: no notify has this name; there are: ops"):
        read(SLACK, SFMC_NOTIFY_OTHER_URL="https://x")


def test_everything_that_is_missing_is_said_at_once(read: Read) -> None:
    settings = read(HOOK + SLACK + MAIL + 'username = "u"\n')
    with pytest.raises(SettingsError) as caught:
        open_senders(settings, chosen(settings, ()))

    assert [line.partition(":")[0] for line in caught.value.problems] == [
        "SFMC_NOTIFY_TEAM_HOOK_SECRET",
        "SFMC_NOTIFY_OPS_URL",
        "SFMC_NOTIFY_POST_PASSWORD",
    ]


@pytest.mark.parametrize(("name", "value"), [("SECRET", "a-secret-of-this-test"), ("URL", "gopher://x")])
def test_a_secret_that_cannot_be_one_is_refused_without_being_shown(read: Read, name: str, value: str) -> None:
    given = {"SFMC_NOTIFY_TEAM_HOOK_SECRET": SECRET, f"SFMC_NOTIFY_TEAM_HOOK_{name}": value}
    settings = read(HOOK, **given)
    with pytest.raises(SettingsError) as caught:
        open_senders(settings, chosen(settings, ()))

    assert f"SFMC_NOTIFY_TEAM_HOOK_{name}" in str(caught.value)
    assert value not in str(caught.value)


def test_all_kinds_open_and_nothing_shows_their_secrets(read: Read) -> None:
    secrets = {"SFMC_NOTIFY_TEAM_HOOK_SECRET": f"{SECRET}\n{SECRET}", "SFMC_NOTIFY_OPS_URL": f"https://x/{SECRET}"}
    settings = read(HOOK + SLACK + MAIL, **secrets)

    assert list(open_senders(settings, chosen(settings, ()))) == ["team-hook", "ops", "post"]
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("text", "names", "complaint"), [("", (), "no \\[\\[notify\\]\\]"), (SLACK, ("x",), "has only ops")]
)
def test_a_notification_that_there_is_not_is_said(
    read: Read, text: str, names: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        chosen(read(text), names)


@pytest.mark.parametrize("name", [*WORTH_KNOWING, "operator.*", "*", "import_*", "started"])
def test_the_events_that_there_are_can_be_named(name: str) -> None:
    assert check_event(name) == name
