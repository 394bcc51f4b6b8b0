"""What a person can do about a failure of calls, by its code and by the login that is configured."""

from collections.abc import Mapping
from typing import Literal

from sfmc_import.advice import Command
from sfmc_import.circuits import LOGIN_CODES as OF_ONE_LOGIN
from sfmc_import.ends import advice_for_end
from sfmc_import.operations.absent import AFTER_THAT, BY_THEMSELVES
from sfmc_import.settings import Settings
from sfmc_import.waiting import OWN_ERROR, is_odd

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
_NO_ANSWER = "check SFMC_AUTH_URL, SFMC_SOAP_URL, the network, and status.salesforce.com"
_LOST = "look at the logs of the workers: one ended or hung (pool_process_exited)"
_LOOKED_FOR = "wait: its run is looked for"
_LIMIT = "wait: it goes on within the limits of this deployment (SFMC_CALLS_PER_MINUTE, SFMC_MAX_RUNNING, a [[group]])"
_REPORT = "report it with its text"
REDIS = (
    "let Redis take writes again: doctor says what it needs, mostly more memory (maxmemory); or let its disk or"
    " replicas confirm them (SFMC_DURABILITY)"
)
CONFIRM = (
    "see the disk of Redis, its replicas and their lag: they confirm too late what is recorded (SFMC_DURABILITY);"
    " doctor says what Redis needs"
)
"""What helps where nothing is wrong that Redis says of itself."""

OTHER = "look at what its text says; see also status.salesforce.com"
"""What helps against a failure whose code is not documented, or that has none."""

OF_A_REJECTION = (
    *("43000", "43010", "43020", "43060", "two_definitions", "file_too_old", "pattern_mismatch"),
    *("invalid", "preflight", "damaged", "bad_signature"),
)
"""Codes that are asked for again for a moment at most, and then end a request."""

FIXES: Mapping[str, str] = {
    "budget": "wait until its day or year is over, or raise SFMC_CALLS_PER_DAY or SFMC_CALLS_PER_YEAR and restart the"
    " workers",
    "http_refused": "check SFMC_SOAP_URL, a server between that refuses, and the rights of the installed package",
    "token_refused": "check SFMC_ACCOUNT_ID and the rights of the installed package (Imports, Data Extensions, Lists)",
    "token_unavailable": "check SFMC_AUTH_URL, the network and the proxy, if there is one (SFMC_PROXY);"
    " see status.salesforce.com",
    "dns": "check the subdomain in SFMC_AUTH_URL and SFMC_SOAP_URL",
    "tls": "check that SFMC_SOAP_URL and SFMC_AUTH_URL lead to a server that speaks TLS; if a proxy replaces"
    " certificates, set SFMC_CA_BUNDLE to the file of its certificates",
    "proxy_refused": "check the address, user and password of the proxy: SFMC_PROXY, or HTTPS_PROXY and HTTP_PROXY",
    **dict.fromkeys(("refused", "unreachable", "connect_timeout"), _NETWORK),
    **dict.fromkeys(("4", "5", "6", "11", "permission_failed"), _RIGHTS),
    **dict.fromkeys(("17", "http_429"), _THROTTLED),
    **dict.fromkeys(("9", "10", "13", "http_503"), _DOWN),
    "http_denied": "check SFMC_SOAP_URL and SFMC_AUTH_URL: the address is not one of Marketing Cloud's",
    "redirected": "check SFMC_SOAP_URL: it answers with another address",
    **dict.fromkeys(("read_timeout", "reset", "broken_reply", "unreadable_reply", "no_task_id"), _NO_ANSWER),
    **dict.fromkeys(("oversized_reply", "http_status", "server_fault", "unexpected", "not_sent", "2"), _NO_ANSWER),
    **dict.fromkeys(("http_400", "unsendable", "not_retrievable", "endless_pages"), _REPORT),
    **dict.fromkeys(("lease_over", "worker_lost"), _LOST),
    OWN_ERROR: "a fault of this program: see imports_start_failed, imports_wake_failed or imports_follow_failed in the"
    " log of the workers, and report it",
    **dict.fromkeys(("nothing_started", "no_run_yet", "other_task", "several_runs"), _LOOKED_FOR),
    **dict.fromkeys(("quota", "running_limit"), _LIMIT),
    "other_business_unit": "give the installed package access to this business unit",
    "oversized_query": "set SFMC_KNOWN_RUNS=ledger, and restart the workers",
    "unknown_location": "look at the File Location of the definition in Marketing Cloud",
    "missing_row": "wait: it is asked for alone",
    "circuit_open": "wait: one call at a time tries; what failed stands in the text",
    "near_midnight": "wait: it goes on when midnight is over",
    "window": "wait: it goes on when the window is over",
    "paused": "wait: it goes on when the pause ends",
    "other_definition": "wait: it goes on with the definition as it is now",
    "writes_lost": "wait: it goes on when the runs that Redis has lost are looked for",
    **dict.fromkeys(("redis", "ledger_down"), REDIS),
    **{
        code: f"wait: it is asked for again; if it ends as rejected, {advice_for_end('rejected', code)}"
        for code in OF_A_REJECTION
    },
}

LOGIN_CODES = frozenset({"login_failed", "12"})
"""Codes that say that the login does not count; what to check depends on which one is configured."""

COMMANDS: Mapping[str, Command] = {"budget": Command(("usage",))}
"""The command that shows more of a failure, by its code: for those who have a command line."""


def login_of(settings: Settings) -> Login:
    """Tell which login is configured here."""
    return "oauth" if settings.client_id else "legacy" if settings.username else ""


def fix_for(code: str, login: Login) -> str:
    """Say what a person can do about a failure; what waits for itself alone begins with `wait:`."""
    return _LOGINS[login] if code in LOGIN_CODES else FIXES.get(code, OTHER)


def advice_for(codes: tuple[str, ...], login: Login = "") -> str:
    """Say what happens by itself, and what somebody must do before it."""
    fixes = (fix_for(code, login) for code in codes)
    to_do = next((fix for fix in fixes if not fix.startswith("wait:")), None)
    if to_do is None:
        return BY_THEMSELVES
    return f"To do: {to_do}." if to_do == _REPORT else f"To do: {to_do}. {AFTER_THAT}"


def naming_processes(advice: str, failed_by: str) -> str:
    """Name in the advice about a login the processes whose calls failed: others may have the right one."""
    if not failed_by:
        return advice
    names = ", ".join(each.rpartition(" of ")[2] for each in failed_by.split(", "))
    return advice.replace("restart every process that", f"restart {names}, and every other process that")


OR_ANOTHER_LOGIN = ", or before it where a process with another login takes it up"
"""Follows the advice about a login: a request goes to whichever worker is free after its pause."""

RESUME = "resume what is paused; it goes on by itself after that"


def advice_for_wait(code: str | None, status: str | None, login: Login, reason: str = "") -> str | None:
    """Say what a person can do about a request that waits: what failed last, and what its run says that is no status.

    None where nothing is to do. A pause is ended by a person, whatever failed before it.
    """
    if reason == "paused":
        return RESUME
    if is_odd(status):
        return "look at the run in Marketing Cloud; it is followed on until its deadline"
    advice = with_what_follows(fix_for(code, login), "it goes on by itself") if code else None
    return f"{advice}{OR_ANOTHER_LOGIN}" if advice and code in OF_ONE_LOGIN and reason == "circuit_open" else advice


def with_what_follows(fix: str, follows: str) -> str:
    """Add what happens by itself after what somebody did; a report changes nothing."""
    return fix if fix.startswith("wait:") or fix == _REPORT else f"{fix}; {follows} after that"
