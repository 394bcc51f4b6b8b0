"""Which servers can carry the transport."""

import pytest

from sfmc_transport.server_version import ServerTooOldError, check_version


@pytest.mark.parametrize("version", ["6.2.0", "6.2.14", "7.2.4", "8.2.3", "10.0.0-rc1"])
def test_servers_with_blmove_are_taken(version):
    check_version(version)


@pytest.mark.parametrize("version", ["6.0.16", "5.0.14", "2.8.4"])
def test_a_server_without_blmove_is_refused_in_one_line_that_says_what_to_do(version):
    with pytest.raises(ServerTooOldError) as refused:
        check_version(version)

    text = str(refused.value)
    assert version in text
    assert "6.2" in text
    assert "stock transport" in text
    assert "\n" not in text
