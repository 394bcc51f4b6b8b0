"""The CPU time that one Perform over HTTPS takes here, beside zeep as it comes with its connection kept open.

Ours goes over a connection that answered a moment ago: in production that of the query before the start.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import zeep
from pydantic import SecretStr

from sfmc_harness.bench.figures import Figure, expect
from sfmc_harness.bench.processes import ACCOUNT_ID, ask, stand_in
from sfmc_harness.bench.stand_in import CERTIFICATE
from sfmc_import.marketing_cloud import MarketingCloudConfig, connect
from sfmc_import.runs import Accepted

KEY = "bench"
_API = "{http://exacttarget.com/wsdl/partnerAPI}"


def figures(rounds: int = 7, calls: int = 150) -> Iterator[Figure]:
    """Measure both in turn, after a round that is not counted."""
    with stand_in() as url:
        ours, stock = _ours(url), _stock(url)
        pairs = [(_cost(ours, calls), _cost(stock, calls)) for _ in range(rounds + 1)][1:]
        sent = {"Performs": 2 * calls * (rounds + 1)}
        expect("Perform", sent, ask(f"{url}/counts"))
    ratio = statistics.median(one / other for one, other in pairs)
    each, other = (statistics.median(costs) * 1e6 for costs in zip(*pairs, strict=True))
    detail = f"{each:.0f} µs against {other:.0f} µs, {calls} calls in each of {rounds} rounds"
    yield Figure("CPU of a Perform on HTTPS ÷ stock zeep, kept alive", ratio, 0.35, detail, 0.7)


def _cost(call: Callable[[], None], calls: int) -> float:
    begun = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - begun) / calls


def _ours(url: str) -> Callable[[], None]:
    config = MarketingCloudConfig(
        soap_url=url,
        auth_url=url,
        account_id=ACCOUNT_ID,
        client_id="demo-client",
        client_secret=SecretStr("demo-secret"),
        verify=str(CERTIFICATE),
    )
    service = connect(config)
    service.prepare()

    def call() -> None:
        assert isinstance(service.start(ACCOUNT_ID, KEY, not_after=float("inf")), Accepted)

    return call


def _stock(url: str) -> Callable[[], None]:
    # Its HTTP library asks this variable, where it is set, before its own setting.
    os.environ["REQUESTS_CA_BUNDLE"] = str(CERTIFICATE)
    # zeep is typed only here and there.
    client_class: Any = zeep.Client
    wsdl = str(files("sfmc_import.marketing_cloud").joinpath("partner_api.wsdl"))
    client = client_class(wsdl, settings=zeep.Settings(strict=False))
    service = client.create_service(next(iter(client.wsdl.bindings)), f"{url}/Service.asmx")
    definition = client.get_type(f"{_API}ImportDefinition")(ObjectID=zeep.xsd.Nil, CustomerKey=KEY)

    def call() -> None:
        assert service.Perform(Action="start", Definitions={"Definition": [definition]}).OverallStatus == "OK"

    return call
