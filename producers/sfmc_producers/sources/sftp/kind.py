"""How a source `sftp` is put together."""

import os
import random

from sfmc_producers.sources.sftp.connection import Connector
from sfmc_producers.sources.sftp.logins import read_login
from sfmc_producers.sources.sftp.options import SftpOptions
from sfmc_producers.sources.sftp.server import SftpServer
from sfmc_producers.sources.sftp.source import SftpSource
from sfmc_producers.sources.sftp.trust import read_trust
from sfmc_producers.sources.tables import Kind, Parts


def open_sftp(options: SftpOptions, parts: Parts) -> SftpSource:
    """Open the source; it connects when it runs. Raises SettingsError for logins and host keys that cannot be used."""
    login = read_login(parts.name, options, lambda what: parts.settings.secret_of(parts.name, what))
    connector = Connector(options, login, read_trust(parts.name, options))
    server = SftpServer(connector, most=options.connections, seconds=options.timeout)
    return SftpSource(options, parts.intake, parts.set_aside, server, chance=random.random, key=os.urandom(16))


KIND = Kind(SftpOptions, open_sftp, is_shared=True)
