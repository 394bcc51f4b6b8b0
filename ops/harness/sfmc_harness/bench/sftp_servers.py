"""An SFTP server for the bench: OpenSSH's where this machine can start it, else asyncssh's in a process of its own."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from sfmc_harness.bench.processes import wait_for
from sfmc_local.processes import spawn, stop
from sfmc_local.redis_server import free_port

_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/login.pub
PidFile {folder}/pid
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, slots=True)
class SftpServer:
    """A server at 127.0.0.1 that lets the user of this process in with `key`; paths are those of this machine."""

    kind: str
    port: int
    fingerprint: str
    key: Path
    known_hosts: Path


@contextmanager
def sftp_server(folder: Path) -> Iterator[SftpServer]:
    """Run a server for the length of a block; files can be put into `folder`/served."""
    (folder / "served").mkdir()
    port, host = free_port(), _key(folder / "host")
    _key(folder / "login")
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    config = folder / "sshd_config"
    config.write_text(_CONFIG.format(port=port, folder=folder))
    program = _openssh(config)
    own = [sys.executable, "-m", "sfmc_harness.bench.sftp_servers", str(folder), str(port)]
    command = [program, "-D", "-e", "-f", str(config)] if program else own
    child = spawn(command, output=subprocess.DEVNULL, errors=subprocess.DEVNULL)
    try:
        wait_for(lambda: _listens(port), "the SFTP server", 30, pause=0.05)
        kind = "OpenSSH" if program else "asyncssh, there is no sshd"
        yield SftpServer(kind, port, host.get_fingerprint(), folder / "login", known)
    finally:
        stop(child)


def _key(path: Path) -> asyncssh.SSHKey:
    key = asyncssh.generate_private_key("ssh-ed25519")
    path.touch(mode=0o600)
    key.write_private_key(path)
    key.write_public_key(path.with_name(f"{path.name}.pub"))
    return key


def _openssh(config: Path) -> str | None:
    """Give the program, if it takes the configuration: as root it wants a user of its own, for example."""
    program = shutil.which("sshd", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    if program is None:
        return None
    tested = subprocess.run([program, "-t", "-f", str(config)], capture_output=True, check=False, timeout=30)
    return program if tested.returncode == 0 else None


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _serve(folder: Path, port: int) -> None:
    server = await asyncssh.listen(
        "127.0.0.1", port, config=None, server_host_keys=[str(folder / "host")],
        authorized_client_keys=str(folder / "login.pub"), sftp_factory=True,
    )  # fmt: skip
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
