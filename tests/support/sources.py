"""Sources as real processes beside the whole system: the policy file comes from the page of the source."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sfmc_local.processes import stop
from tests.support.processes import RunningSystem

PAGES = Path(__file__).parents[2] / "ops" / "docs" / "sources"


def example_of(page: str, **changes: str) -> str:
    """The TOML example of a page as written; `changes` put what a test needs in the place of a text of it."""
    text = (PAGES / f"{page}.md").read_text("utf-8")
    found = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert found is not None, f"{page}.md has no example"
    example = found[1]
    for old, new in changes.items():
        assert old in example, f"{page}.md does not say {old}"
        example = example.replace(old, new)
    return example


def use_policy(system: RunningSystem, text: str) -> dict[str, str]:
    """Write the policy file; gives the setting that names it."""
    file = system.folder / "policy.toml"
    file.write_text(text, "utf-8")
    return {"SFMC_CONFIG": str(file)}


@contextmanager
def running_source(system: RunningSystem, name: str, policy: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Keep `sfmc-import source NAME` running with this policy file."""
    child = system.start("source", name, **use_policy(system, policy), **env)
    try:
        yield child
    finally:
        stop(child)
