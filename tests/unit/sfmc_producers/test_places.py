"""What tells one target from another: two spellings of one place are one, so that no two programs write to it."""

import pytest

from sfmc_producers.delivery.s3 import S3Options
from sfmc_producers.delivery.sftp import SftpOptions

SFTP = {"host": "mc.example.com", "user": "510001234"}


@pytest.mark.parametrize(
    "changes",
    [{"folder": folder} for folder in ("Import", "/Import", "Import/", "//Import//", "./Import", "/Import/.")]
    + [{"folder": "a/../Import"}, {"host": "MC.example.com."}],
)
def test_two_spellings_of_a_folder_are_one_place(changes) -> None:
    place = SftpOptions.model_validate({**SFTP, "folder": "Import"} | changes).place
    assert place == "sftp://510001234@mc.example.com:22/Import"


@pytest.mark.parametrize("changes", [{"user": "510005678"}, {"port": 2222}, {"host": "b"}, {"folder": "import"}])
def test_another_login_server_or_folder_is_another_place(changes) -> None:
    assert SftpOptions.model_validate(SFTP | changes).place != SftpOptions.model_validate(SFTP).place


def test_a_prefix_of_s3_counts_as_it_stands_and_an_address_without_its_last_slash() -> None:
    def place(prefix: str, url: str = "https://s3.example.com") -> str:
        return S3Options.model_validate({"bucket": "drop", "prefix": prefix, "endpoint_url": url}).place

    assert len({place(""), place("in"), place("in/"), place("in//")}) == 4
    assert place("in/") == place("in/", "https://s3.example.com/")


def test_the_address_for_people_has_no_user() -> None:
    assert SftpOptions.model_validate(SFTP | {"folder": "/Import"}).address == "sftp://mc.example.com:22/Import"
