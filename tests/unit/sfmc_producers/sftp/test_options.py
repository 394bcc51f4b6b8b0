"""The lines of a [[source]] of kind `sftp`."""

import asyncssh
import pytest
from pydantic import SecretStr, ValidationError

from sfmc_import.errors import SettingsError
from sfmc_producers.sources.kinds import KINDS
from sfmc_producers.sources.sftp.logins import read_login
from sfmc_producers.sources.sftp.options import SftpOptions
from sfmc_producers.sources.sftp.trust import read_trust

PIN = "SHA256:" + "a" * 43
LEAST = {"host": "sftp.example.com", "user": "drop", "dir": "/in", "host_keys": [PIN]}


def options(**lines):
    return SftpOptions(**{**LEAST, **lines})


@pytest.mark.parametrize(
    ("lines", "location"),
    [
        ({}, "sftp://sftp.example.com:22/in"),
        ({"host": "SFTP.Example.COM", "port": 2222, "user": "other"}, "sftp://sftp.example.com:2222/in"),
        ({"dir": "//in/./eu/"}, "sftp://sftp.example.com:22/in/eu"),
        ({"dir": "/"}, "sftp://sftp.example.com:22"),
        ({"host": "2001:db8::1"}, "sftp://[2001:db8::1]:22/in"),
    ],
)
def test_the_location_is_the_same_for_every_spelling_and_user(lines, location):
    assert options(**lines).location == location


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"host_keys": []}, "give either host_keys or known_hosts"),
        ({"known_hosts": __file__}, "give either host_keys or known_hosts"),
        ({"host_keys": ["SHA256:abc"]}, "neither SHA256:"),
        ({"host_keys": ["ssh-ed25519 %%%%%%%%%%%%%%%%%%%%"]}, "neither SHA256:"),
        ({"host_keys": ["MD5:00:11"]}, "neither SHA256:"),
        ({"host_keys": [], "known_hosts": "/nonexistent/known_hosts"}, "known_hosts"),
        ({"dir": "in"}, "begins with /"),
        ({"dir": "/in/../etc"}, "has no .."),
        ({"dir": "/in\n"}, "begins with /"),
        ({"host": "user@host"}, "not the name or the address of a server"),
        ({"host": "sftp://host"}, "not the name or the address of a server"),
        ({"host": "-oProxyCommand=x"}, "not the name or the address of a server"),
        ({"after": "move"}, "belong together"),
        ({"move_to": "/done"}, "belong together"),
        ({"after": "move", "move_to": "/in/"}, "move_to is the folder itself"),
        ({"agent_key": PIN}, "agent_key needs agent = true"),
        ({"agent": True, "agent_key": "abc"}, "as ssh-add -l prints it"),
        ({"connections": 11}, "connections"),
        ({"marker": "a/b"}, "marker"),
        ({"stable": -1}, "stable"),
        ({"seconds": 1}, "seconds"),
    ],
)
def test_lines_that_cannot_work_are_refused(lines, said):
    with pytest.raises(ValidationError, match=said):
        options(**lines)


def test_a_fingerprint_with_its_padding_is_the_same_one():
    assert options(host_keys=[f"{PIN}="]).host_keys == (PIN,)


def login(secrets, **lines):
    return read_login("my-drop", options(**lines), lambda what: SecretStr(secrets[what]) if what in secrets else None)


@pytest.mark.parametrize(
    ("secrets", "lines", "said"),
    [
        ({}, {}, "none of them is given"),
        ({"password": "p", "key": "k"}, {}, "more than one is given"),
        ({"password": "p"}, {"agent": True}, "more than one is given"),
    ],
)
def test_exactly_one_login_is_needed(secrets, lines, said):
    with pytest.raises(SettingsError, match=f"SFMC_SOURCE_MY_DROP_PASSWORD.*{said}"):
        login(secrets, **lines)


def test_a_key_that_cannot_be_read_is_named_by_its_setting_and_not_shown():
    with pytest.raises(SettingsError, match="SFMC_SOURCE_MY_DROP_KEY: not a private key") as refusal:
        login({"key": "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"})
    assert "BEGIN" not in str(refusal.value)


@pytest.mark.parametrize("passphrase", [{}, {"passphrase": "wrong-phrase"}])
def test_an_encrypted_key_without_its_passphrase_says_which_setting_is_missing_or_wrong(passphrase):
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key("pkcs8-pem", passphrase="right-phrase")
    with pytest.raises(SettingsError, match="SFMC_SOURCE_MY_DROP_KEY: it is encrypted; set SFMC_SOURCE_MY_DROP_PASSPH"):
        login({"key": key.decode(), **passphrase})


def test_a_login_does_not_show_its_password():
    assert "hidden-word" not in repr(login({"password": "hidden-word"}))


def test_a_public_key_that_is_none_is_refused_before_anything_runs():
    with pytest.raises(SettingsError, match="source drop: host_keys or known_hosts cannot be read"):
        read_trust("drop", options(host_keys=["ssh-ed25519 AAAAAAAAAAAAAAAAAAAA"]))


def test_no_way_to_give_host_keys_leaves_them_unchecked(tmp_path):
    known = tmp_path / "known_hosts"
    known.write_text("")
    for lines in ({}, {"host_keys": [], "known_hosts": str(known)}):
        assert read_trust("drop", options(**lines)).arguments()["known_hosts"]


def test_the_kind_is_known_by_its_name():
    assert KINDS["sftp"]().options is SftpOptions
