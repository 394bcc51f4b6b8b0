"""Delivers one large file in a process of its own, and prints how much its memory grew by it, in bytes.

It reads JSON from standard input: the server of the target, and a source of kind sftp or sqs.
"""

import json
import resource
import sys
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from sfmc_import.request import FileInfo
from sfmc_producers.checked_files import OpenContent
from sfmc_producers.delivery.ranged import RangedContent, as_file
from sfmc_producers.delivery.sftp import SftpOptions, SftpSession
from sfmc_producers.delivery.unpacking import Limits, unpacked
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.aws import s3_client
from sfmc_producers.sources.s3_objects import open_content
from sfmc_producers.sources.sftp.connection import Connector
from sfmc_producers.sources.sftp.content import SftpRanges
from sfmc_producers.sources.sftp.logins import read_login
from sfmc_producers.sources.sftp.options import SftpOptions as SourceOptions
from sfmc_producers.sources.sftp.server import SftpServer
from sfmc_producers.sources.sftp.trust import read_trust


def open_sftp(given: dict[str, Any], file: FileInfo) -> OpenContent:
    """Open a file of an SFTP server."""
    options = SourceOptions.model_validate(given["lines"])
    login = read_login("x", options, {"password": SecretStr(given["password"])}.get)
    server = SftpServer(Connector(options, login, read_trust("x", options)), most=1, seconds=30)
    return lambda: as_file(RangedContent(SftpRanges(server, options, file)))


def open_s3(given: dict[str, Any], file: FileInfo) -> OpenContent:
    """Open an object."""
    client = s3_client("eu-central-1", given["endpoint_url"])
    return partial(open_content, client, Arrival(file=file))


def main() -> None:
    """Deliver."""
    given = json.load(sys.stdin)
    opening = {"sftp": open_sftp, "s3": open_s3}[given["kind"]](given, FileInfo(**given["file"]))
    if given["unpack"]:
        opening = unpacked(opening, given["unpack"], Limits(ratio=2000), None)
    session = SftpSession(SftpOptions.model_validate(given["target"]), SecretStr(given["target_password"]))
    session.connect()
    # What libraries take for their first bytes is not counted.
    with opening() as content:
        content.read(1000)
    before = peak()
    size = session.upload(".sfmc-x.part", "large.csv", opening, lambda _: None)
    session.rename(".sfmc-x.part", "large.csv", size)
    session.close()
    sys.stdout.write(json.dumps({"size": size, "grown": peak() - before}))


def peak() -> int:
    """Give the most memory that this process had, in bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # What getrusage says on Linux can be of the process that started this one.
    [line] = [each for each in status.read_text("ascii").splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
