"""Without its library the source says in one line how to install it, and other sources need nothing of it."""

import subprocess
import sys

import asyncssh

PROGRAM = """
import sys
sys.modules["asyncssh"] = None
from sfmc_import.errors import MissingExtraError
from sfmc_producers.sources.kinds import KINDS
KINDS["stream"]()
try:
    KINDS["sftp"]()
except MissingExtraError as error:
    sys.stdout.write(str(error))
"""


def test_a_missing_library_is_one_line_with_the_command_that_installs_it():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    needed = 'kind = "sftp" needs asyncssh, which is not installed'
    assert done.stdout == f"{needed}; install it with: pip install 'sfmc-import[sftp]'"


ENCRYPTED = """
import sys
sys.modules["bcrypt"] = None
from pydantic import SecretStr
from sfmc_import.errors import SettingsError
from sfmc_producers.sources.sftp.logins import read_login
from sfmc_producers.sources.sftp.options import SftpOptions
options = SftpOptions(host="h", user="u", dir="/in", host_keys=["SHA256:" + "A" * 43])
secrets = {"key": sys.argv[1], "passphrase": "phrase-of-this-key"}
try:
    read_login("drop", options, lambda what: SecretStr(secrets[what]) if what in secrets else None)
except SettingsError as error:
    sys.stdout.write(str(error))
"""


def test_a_key_with_a_passphrase_says_in_one_line_what_is_missing_to_read_it():
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh", passphrase="phrase-of-this-key")
    command = [sys.executable, "-c", ENCRYPTED, key.decode()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    [line] = done.stdout.splitlines()
    assert line.endswith("which needs bcrypt: pip install 'sfmc-import[sftp]'")
    assert "SFMC_SOURCE_DROP_KEY" in line
