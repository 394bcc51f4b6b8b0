"""The adapter in front of a server that misbehaves."""

from collections.abc import Callable
from typing import Any

import pytest

from sfmc_import.marketing_cloud import MarketingCloudConfig, PlainSecret, SoapMarketingCloud, connect

Adapter = Callable[..., SoapMarketingCloud]
BRIEF = {"read_timeout": 0.5}
"""For a server that says nothing; against one that answers, a busy machine would be mistaken for it."""


@pytest.fixture
def adapter() -> Adapter:
    """Make adapters that log in with user and password, unless asked otherwise, and never wait between tries."""

    def make(url: str, **given: Any) -> SoapMarketingCloud:
        user = {} if "client_id" in given else {"username": "a-user", "password": PlainSecret("a-password")}
        limits = {"connect_timeout": 20, "read_timeout": 20}
        return connect(MarketingCloudConfig(soap_url=url, **(user | limits | given)), sleep=lambda _: None)

    return make
