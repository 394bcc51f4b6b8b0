"""Without its library the source says in one line how to install it, and other sources need nothing of it."""

import subprocess
import sys

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
