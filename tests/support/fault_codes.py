"""Every code of a failure that a request, a run or a folder may have, as the sources name them."""

import re
from pathlib import Path

from sfmc_import.faults import CODES, SITUATIONS

_WORKER = Path(__file__).parents[2] / "worker" / "sfmc_import"
_WRITTEN = re.compile(r'(?:NotApplied|Ambiguous|Rejected)\(\s*"([a-z_]*[a-z])"')
_IN_LUA = re.compile(r"code = '([a-z_]+)'")


def fault_codes() -> list[str]:
    """Give them in order."""
    sources = [path for path in _WORKER.rglob("*.py") if path.parent.name != "api_client"]
    codes = {name for path in sources for name in _WRITTEN.findall(path.read_text())}
    codes |= {name for path in _WORKER.rglob("*.lua") for name in _IN_LUA.findall(path.read_text())}
    return sorted({*SITUATIONS, *map(str, CODES), *codes})
