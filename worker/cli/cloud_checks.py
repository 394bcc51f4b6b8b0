"""What doctor asks Marketing Cloud: login, SOAP, and whether the definitions that the policy file names exist."""

import difflib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from worker.adapters.marketing_cloud import SoapMarketingCloud
from worker.adapters.redis_fitness import Finding
from worker.domain.faults import NotApplied, Rejected
from worker.domain.runs import Definition
from worker.settings import Settings

# Hosts that a plain http address may have: this machine, and names without a dot (a Compose network).
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
MEND = {
    "login_failed": "check SFMC_CLIENT_ID, SFMC_CLIENT_SECRET, SFMC_ACCOUNT_ID and the package's access to it",
    "token_refused": "check SFMC_ACCOUNT_ID and the rights of the installed package (Imports, Data Extensions, Lists)",
    "dns": "check the subdomain in SFMC_AUTH_URL and SFMC_SOAP_URL",
    "tls": "set SFMC_CA_BUNDLE where a proxy signs with certificates of its own",
}
LEGACY_MEND = "check SFMC_USERNAME and SFMC_PASSWORD, or use an installed package (SFMC_CLIENT_ID) instead"
USUAL_MEND = "check SFMC_AUTH_URL, SFMC_SOAP_URL, the network, and status.salesforce.com"


def cloud_findings(settings: Settings, service: SoapMarketingCloud) -> Iterator[Finding]:
    """Ask Marketing Cloud once for each business unit that the settings name."""
    yield from _plain_http(settings)
    service.prepare()
    yield Finding("ok", "WSDL", "the package's own WSDL loads")
    for mid, keys in _named(settings).items():
        found = service.definitions(mid)
        if isinstance(found, (NotApplied, Rejected)):
            yield Finding("fail", "login", f"business unit {mid}: {found.text}", _mend(found.code, settings))
        else:
            yield Finding("ok", "login", f"business unit {mid} answers: {len(found)} ImportDefinitions")
            yield from _definitions(mid, keys, found)


def _mend(code: str, settings: Settings) -> str:
    if code == "login_failed" and not settings.client_id:
        return LEGACY_MEND
    return MEND.get(code, USUAL_MEND)


def _plain_http(settings: Settings) -> Iterator[Finding]:
    for name, address in (("SFMC_AUTH_URL", settings.auth_url), ("SFMC_SOAP_URL", settings.soap_url)):
        parts = urlsplit(address)
        host = parts.hostname or ""
        if parts.scheme == "http" and host not in LOCAL and "." in host:
            text = f"{name} is plain http: login and token travel in the open"
            yield Finding("warn", "encryption", text, "use https://")


def _named(settings: Settings) -> dict[str, list[str]]:
    """Give the CustomerKeys that policy and routes name, by business unit; keys with groups are not known yet."""
    named: dict[str, list[str]] = defaultdict(list, {settings.account_id: []})
    pairs = [*settings.policies.definitions, *((route.mid, route.customer_key) for route in settings.routes)]
    for mid, key in dict.fromkeys(pairs):
        if "{" not in key:
            named[mid or settings.account_id].append(key)
    return named


def _definitions(mid: str, keys: Sequence[str], found: Sequence[Definition]) -> Iterator[Finding]:
    existing = [definition.customer_key for definition in found]
    for key in keys:
        if key in existing:
            yield Finding("ok", "definition", f"{key} exists in business unit {mid}")
            continue
        near = difflib.get_close_matches(key, existing, n=1)
        mend = f"did you mean {near[0]}?" if near else "give the External Key that Marketing Cloud shows"
        yield Finding("fail", "definition", f"{key} of the policy file is not in business unit {mid}", mend)
