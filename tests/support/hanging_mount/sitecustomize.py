"""For PYTHONPATH: while the file $HANG_FLAG exists, to list a folder with "hung" in its path does not return.

It stands for a mount whose server is gone: the thread waits in the kernel, and no signal of Python ends that.
"""

import os
from pathlib import Path

_list = os.scandir


def _list_or_hang(path=None):
    if "hung" in str(path) and Path(os.environ["HANG_FLAG"]).exists():
        # To open a pipe that none writes to blocks until the writer comes.
        os.close(os.open(os.environ["HANG_PIPE"], os.O_RDONLY))
    return _list(path)


os.scandir = _list_or_hang
