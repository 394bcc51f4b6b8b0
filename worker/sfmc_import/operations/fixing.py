"""What a person can do about a failure of calls, by its code, and about a request that ended badly."""

from collections.abc import Mapping

from sfmc_import.advice import Command

FIXES: Mapping[str, str] = {
    "login_failed": "check SFMC_CLIENT_ID, SFMC_CLIENT_SECRET, SFMC_ACCOUNT_ID, and the access of the package",
    "12": "check SFMC_USERNAME and SFMC_PASSWORD, and the rights of this API user",
    "budget": "look at the calls that were made; SFMC_CALLS_PER_DAY and SFMC_CALLS_PER_YEAR are the budgets",
    "http_refused": "check SFMC_SOAP_URL, a server between that refuses, and the rights of the installed package",
    "token_refused": "check SFMC_ACCOUNT_ID and the rights of the installed package (Imports, Data Extensions, Lists)",
    "dns": "check the subdomain in SFMC_AUTH_URL and SFMC_SOAP_URL",
    "tls": "if a proxy replaces certificates, set SFMC_CA_BUNDLE to the file of its certificates",
    "proxy_refused": "check the address, user and password of the proxy: SFMC_PROXY, or HTTPS_PROXY and HTTP_PROXY",
    "permission_failed": "give the installed package (or the API user) the rights Automations, and Data Extensions or"
    " Lists and Subscribers, in this business unit",
    "http_429": "wait: the account is throttled; other programs with this package may be the cause",
    "17": "wait: the account is throttled; other programs with this package may be the cause",
    "http_503": "wait: Marketing Cloud is not available; see status.salesforce.com",
    "http_denied": "check SFMC_SOAP_URL and SFMC_AUTH_URL: the address is not one of Marketing Cloud's",
    "redirected": "check SFMC_SOAP_URL: it answers with another address",
}

COMMANDS: Mapping[str, Command] = {"budget": Command(("usage",))}
"""The command that shows more of a failure, by its code: for those who have a command line."""


def advice_for(codes: tuple[str, ...]) -> str:
    """Say what happens by itself, and what somebody must do before it."""
    to_do = next((FIXES[code] for code in codes if code in FIXES and not FIXES[code].startswith("wait:")), None)
    if to_do is None:
        return "Requests go on by themselves."
    return f"To do: {to_do}. Requests go on by themselves after that."


_RIGHT = "give the installed package the right that is missing, then replay it"
_REJECTED: Mapping[str, str] = {
    **dict.fromkeys(("4", "5", "6", "11", "permission_failed"), _RIGHT),
    "pattern_mismatch": "submit the right file, or correct FileSpec or SFMC_TIME_ZONE",
    "file_too_old": "send a new file, or raise MaxFileAge of the definition",
    "43010": "name the CustomerKey that the definition has, or create it",
    "preflight": "correct the file and send it again, or change the definition or the route",
    "damaged": "let the sender send it again, or correct unpack of the route",
    "bad_signature": "ask the sender; then let it send the file again, as a new file",
    "invalid": "correct the sender; it sends a new request",
}
_ENDS: Mapping[str, str] = {
    "rejected": "correct what Marketing Cloud or the text names, then replay it",
    "import_failed": "correct the file or the definition; then start the corrected file, or replay this one",
    "start_unknown": "look in Marketing Cloud whether the import ran, then resolve it",
    "gave_up": "fix the cause, then replay it",
    "follow_timed_out": "look in Marketing Cloud how the run ended, or follow it again",
    "completed_suspicious": "look at the file and at the run; if the file was wrong, replay the right one by force",
}


def advice_for_end(state: str, code: str | None) -> str | None:
    """Say what somebody should do about a request that ended so, as the runbook says it; None where nothing is to do.

    `code` is that of its last event.
    """
    known = _REJECTED.get(code or "") if state == "rejected" else None
    return known or _ENDS.get(state)
