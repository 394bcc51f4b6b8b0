"""Marketing Cloud over SOAP: the adapter behind the port `MarketingCloud`."""

from sfmc_import.marketing_cloud.client import SoapMarketingCloud
from sfmc_import.marketing_cloud.connecting import connect
from sfmc_import.marketing_cloud.http import MarketingCloudConfig, PlainSecret, SecretValue
from sfmc_import.marketing_cloud.shared_tokens import TokenSharing

__all__ = ["MarketingCloudConfig", "PlainSecret", "SecretValue", "SoapMarketingCloud", "TokenSharing", "connect"]
