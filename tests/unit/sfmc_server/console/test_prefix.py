"""The path that a proxy puts before ours."""

import pytest

from sfmc_import.errors import SettingsError
from sfmc_server.console.prefix import checked_prefix


@pytest.mark.parametrize(("path", "prefix"), [("", ""), ("/", ""), ("/a/", "/a"), ("/a/b-c.d_e~1", "/a/b-c.d_e~1")])
def test_a_plain_path_is_taken_without_its_last_slash(path: str, prefix: str) -> None:
    assert checked_prefix(path) == prefix


@pytest.mark.parametrize("path", ["/a b", "/<script>", '/"', "/a//b", "/ü", "a", "/%2e"])
def test_a_path_that_is_not_plain_is_refused_in_one_line(path: str) -> None:
    with pytest.raises(SettingsError, match="SFMC_PUBLIC_URL"):
        checked_prefix(path)
