"""Addresses in either form, and secrets that stay hidden."""

import pytest

from sfmc_import.marketing_cloud import MarketingCloudConfig, PlainSecret


@pytest.mark.parametrize(
    "given",
    [
        "https://t.soap.marketingcloudapis.com",
        "https://t.soap.marketingcloudapis.com/",
        " https://t.soap.marketingcloudapis.com/Service.asmx ",
        "https://t.soap.marketingcloudapis.com/Service.asmx#top",
    ],
)
def test_the_soap_address_may_be_given_with_or_without_its_path(given):
    config = MarketingCloudConfig(soap_url=given)

    assert config.soap_address == "https://t.soap.marketingcloudapis.com/Service.asmx"


@pytest.mark.parametrize("given", ["http://localhost:8080", "http://localhost:8080/v2/token"])
def test_the_token_address_may_be_given_with_or_without_its_path(given):
    config = MarketingCloudConfig(soap_url="", auth_url=given)

    assert config.token_address == "http://localhost:8080/v2/token"


def test_a_path_of_ones_own_is_kept():
    config = MarketingCloudConfig(soap_url="http://proxy/mc/service.asmx?tenant=1")

    assert config.soap_address == "http://proxy/mc/service.asmx?tenant=1"


def test_a_client_id_means_tokens_and_none_means_user_and_password():
    assert MarketingCloudConfig(soap_url="", client_id="c", username="u").uses_tokens
    assert not MarketingCloudConfig(soap_url="", username="u").uses_tokens


def test_a_configuration_shows_no_secret():
    config = MarketingCloudConfig(soap_url="", client_secret=PlainSecret("s3cret"), password=PlainSecret("pa55word"))

    assert "s3cret" not in f"{config!r}{config}{config.client_secret}"
    assert "pa55word" not in f"{config!r}{config}{config.password}"
