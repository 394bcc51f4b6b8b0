"""Marketing Cloud's SOAP API behind sfmc_import.ports.MarketingCloud; the only room that knows SOAP."""

from sfmc_import.marketing_cloud.client import SoapMarketingCloud, connect
from sfmc_import.marketing_cloud.http import MarketingCloudConfig, PlainSecret, SecretValue

__all__ = ["MarketingCloudConfig", "PlainSecret", "SecretValue", "SoapMarketingCloud", "connect"]
