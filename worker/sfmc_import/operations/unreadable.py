"""What helps with a folder or a file that cannot be read: by the error of the operating system."""

import errno
import os
from collections.abc import Mapping

_MOUNT = "see its mount and the server behind it"
RIGHT = "give the watcher the right to read it"
LINK_TO_NOTHING = "it is a link to a file that is not there"
NO_FILE = "it is no file, but a pipe, a socket or a device"
"""What a watcher says of such an entry; the system has no error of its own for it."""

OF_A_FOLDER: Mapping[int, str] = {
    errno.ENOENT: "it is not there: create it, or mount it; or watch another folder",
    errno.ENOTDIR: "something else lies in its place: move that away, and create the folder or mount it",
    errno.ELOOP: "its path has a link that leads to itself: correct the link",
    **dict.fromkeys((errno.EACCES, errno.EPERM), RIGHT),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT), _MOUNT),
}
OF_A_FILE: Mapping[int, str] = {
    errno.ELOOP: "its link leads to itself: correct or delete it",
    errno.ENAMETOOLONG: "rename it, or the link that it is: the name is too long",
    **dict.fromkeys((errno.EACCES, errno.EPERM), RIGHT),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT), _MOUNT),
}
OTHERWISE = "give the watcher the right to read it, or mount it again"
FOLLOWS = "its files go on by themselves after that"


def advice_for_folder(text: str) -> str:
    """Say what helps; `text` is what the system says of the error, as the watcher gives it."""
    return f"{_by_text(OF_A_FOLDER).get(text, OTHERWISE)}; {FOLLOWS}"


def advice_for_file(text: str) -> str:
    """Say what helps with one file."""
    if text == LINK_TO_NOTHING:
        return "put the file there that it leads to, or correct or delete the link"
    if text == NO_FILE:
        return "put a file in its place, or move it out of the folder"
    return _by_text(OF_A_FILE).get(text, RIGHT)


def _by_text(advice: Mapping[int, str]) -> dict[str, str]:
    return {os.strerror(number): said for number, said in advice.items()}
