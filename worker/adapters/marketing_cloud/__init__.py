"""Marketing Cloud's SOAP API behind worker.ports.MarketingCloud; the only room that knows SOAP."""

from worker.adapters.marketing_cloud.client import SoapMarketingCloud
from worker.adapters.marketing_cloud.config import Hidden, MarketingCloudConfig, Secret
from worker.adapters.marketing_cloud.connect import connect

__all__ = ["Hidden", "MarketingCloudConfig", "Secret", "SoapMarketingCloud", "connect"]
