"""What a person can do about a failure of calls, by its code and by the login that is configured."""

from collections.abc import Mapping
from typing import Literal

from sfmc_import.advice import Command
from sfmc_import.settings import Settings
from sfmc_import.waiting import is_odd

Login = Literal["oauth", "legacy", ""]
"""How this deployment logs in: with an installed package, with user name and password; empty where it is not known."""

_LOGINS: Mapping[Login, str] = {
    "oauth": "check SFMC_CLIENT_ID, SFMC_CLIENT_SECRET, SFMC_ACCOUNT_ID, and the access of the package; then restart"
    " every process that has another login: workers, beats, watchers and sources",
    "legacy": "check SFMC_USERNAME and SFMC_PASSWORD, and the rights of this API user; or use an installed package"
    " (SFMC_CLIENT_ID) instead; then restart every process that has another login: workers, beats, watchers and"
    " sources",
    "": "check the login: SFMC_CLIENT_ID, SFMC_CLIENT_SECRET and SFMC_ACCOUNT_ID, or SFMC_USERNAME and SFMC_PASSWORD;"
    " then restart every process that has another login: workers, beats, watchers and sources",
}
_RIGHTS = (
    "give the installed package (or the API user) the rights Automations, and Data Extensions or Lists and"
    " Subscribers, in this business unit"
)
_NETWORK = "check the network and SFMC_SOAP_URL, and a proxy between"
_THROTTLED = "wait: the account is throttled; other programs with this package may be the cause"
_DOWN = "wait: Marketing Cloud is not available; see status.salesforce.com"

FIXES: Mapping[str, str] = {
    "budget": "look at the calls that were made; SFMC_CALLS_PER_DAY and SFMC_CALLS_PER_YEAR are the budgets",
    "http_refused": "check SFMC_SOAP_URL, a server between that refuses, and the rights of the installed package",
    "token_refused": "check SFMC_ACCOUNT_ID and the rights of the installed package (Imports, Data Extensions, Lists)",
    "token_unavailable": "check SFMC_AUTH_URL and the network; see status.salesforce.com",
    "dns": "check the subdomain in SFMC_AUTH_URL and SFMC_SOAP_URL",
    "tls": "if a proxy replaces certificates, set SFMC_CA_BUNDLE to the file of its certificates",
    "proxy_refused": "check the address, user and password of the proxy: SFMC_PROXY, or HTTPS_PROXY and HTTP_PROXY",
    **dict.fromkeys(("refused", "unreachable", "connect_timeout"), _NETWORK),
    **dict.fromkeys(("4", "5", "6", "11", "permission_failed"), _RIGHTS),
    **dict.fromkeys(("17", "http_429"), _THROTTLED),
    **dict.fromkeys(("9", "10", "13", "http_503"), _DOWN),
    "http_denied": "check SFMC_SOAP_URL and SFMC_AUTH_URL: the address is not one of Marketing Cloud's",
    "redirected": "check SFMC_SOAP_URL: it answers with another address",
}

LOGIN_CODES = frozenset({"login_failed", "12"})
"""Codes that say that the login does not count; what to check depends on which one is configured."""

COMMANDS: Mapping[str, Command] = {"budget": Command(("usage",))}
"""The command that shows more of a failure, by its code: for those who have a command line."""


def login_of(settings: Settings) -> Login:
    """Tell which login is configured here."""
    return "oauth" if settings.client_id else "legacy" if settings.username else ""


def fix_for(code: str, login: Login) -> str | None:
    """Say what a person can do about a failure; None where nothing is known."""
    return _LOGINS[login] if code in LOGIN_CODES else FIXES.get(code)


def advice_for(codes: tuple[str, ...], login: Login = "") -> str:
    """Say what happens by itself, and what somebody must do before it."""
    fixes = (fix_for(code, login) for code in codes)
    to_do = next((fix for fix in fixes if fix and not fix.startswith("wait:")), None)
    if to_do is None:
        return "Requests go on by themselves."
    return f"To do: {to_do}. Requests go on by themselves after that."


def advice_for_wait(code: str | None, status: str | None, login: Login) -> str | None:
    """Say what a person can do about a request that waits: what failed last, and what its run says that is no status.

    None where nothing is to do.
    """
    if is_odd(status):
        return "look at the run in Marketing Cloud; it is followed on until its deadline"
    fix = fix_for(code or "", login)
    return fix if fix is None or fix.startswith("wait:") else f"{fix}; it goes on by itself after that"
