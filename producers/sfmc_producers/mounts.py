"""Which file system a folder lies on, read from the text of /proc/self/mountinfo."""

import re
from collections.abc import Iterator

NETWORK_TYPES = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "coda",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "orangefs",
        "pvfs2",
        "ocfs2",
        "gfs2",
        "glusterfs",
        "davfs",
        "9p",
        "virtiofs",
        "vboxsf",
        "vmhgfs",
        "prl_fs",
        "drvfs",
        "acfs",
        "fakeowner",  # Docker Desktop's shared folders
        "osxfs",
    )
)
"""File systems whose files other machines write: a client sees old attributes, and no notifications."""

LOCAL_FUSE = frozenset(
    (
        "fuse.ntfs-3g",
        "fuse.ntfs",
        "fuse.exfat",
        "fuse.mergerfs",
        "fuse.gocryptfs",
        "fuse.encfs",
        "fuse.cryfs",
        "fuse.bindfs",
        "fuse.fuse-overlayfs",
        "fuse.overlayfs",
        "fuse.unionfs",
        "fuse.lxcfs",
    )
)
"""Programs behind FUSE that show local disks. Any other may be a network: sshfs, s3fs, rclone and their like."""


def is_network(kind: str) -> bool:
    """Say whether a file system of this type is, or may be, one of a network."""
    return kind in NETWORK_TYPES or (kind.split(".", maxsplit=1)[0] == "fuse" and kind not in LOCAL_FUSE)


def types_of(mountinfo: str, folder: str, *, recursive: bool) -> tuple[str, ...]:
    """Give the type of the file system that holds `folder`, and with `recursive` the types of those below it.

    `folder` is a path without links. A mount that hides an earlier one comes later in the text.
    """
    mounts = dict(_mounts(mountinfo))
    above = [point for point in mounts if _holds(point, folder)]
    below = [point for point in mounts if point != folder and _holds(folder, point)] if recursive else []
    chosen = ([max(above, key=len)] if above else []) + below
    return tuple(mounts[point] for point in chosen)


def mount_of(mountinfo: str, folder: str) -> str:
    """Give type, source, root and mount point of the file system that holds `folder`, in one line.

    The name of a local disk is left out: another start of the machine may give it another one.
    """
    holding = [each for each in mountinfo.splitlines() if _holds(_point(each), folder)]
    if not holding:
        return ""
    longest = max(len(_point(each)) for each in holding)
    before, _, after = next(each for each in reversed(holding) if len(_point(each)) == longest).partition(" - ")
    kind, source = after.split(" ")[:2]
    root, point = before.split(" ")[3:5]
    return " ".join((kind, "-" if source.startswith("/dev/") else source or "-", root, point))


def _point(line: str) -> str:
    """Give the mount point of a line; what is no such line lies nowhere."""
    before, _, after = line.partition(" - ")
    fields = before.split(" ")
    return _unescape(fields[4]) if len(fields) > 4 and len(after.split(" ")) > 1 else "\0"


def _mounts(mountinfo: str) -> Iterator[tuple[str, str]]:
    """Yield mount point and type of each line: the type is the first field after the lone hyphen."""
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if separator and len(fields) > 4 and after:
            yield _unescape(fields[4]), after.split(" ")[0]


def _holds(point: str, path: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


def _unescape(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point)
