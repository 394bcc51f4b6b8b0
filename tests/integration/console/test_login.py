"""Who may come in, with what, and what a form must have."""

import re

import pytest

from sfmc_import.operations import tokens
from sfmc_server.console.application import GET, POST
from tests.support.console import Person, World, console_over

EVERY = [("GET", path) for path in GET] + [("POST", path) for path in POST]


def filled(path: str) -> str:
    return re.sub(r"{\w+}", "x", path)


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_nothing_is_seen_or_done_without_a_login(world: World, method: str, path: str) -> None:
    answer = Person(world.http).ask(method, filled(path), data={"csrf": "x"} if method == "POST" else None)

    assert (answer.status_code, 'name="token"' in answer.text) == (401, True)


@pytest.mark.parametrize("path", list(POST))
def test_a_form_without_what_belongs_to_the_login_does_nothing(world: World, path: str) -> None:
    person, other = world.person("operator"), world.person("viewer")
    stolen = re.search(r'name="csrf" value="(\w+)"', other.see("/").text)
    assert stolen
    for csrf in ("", "x", stolen[1]):
        answer = person.ask("POST", filled(path), data={"csrf": csrf})
        assert (answer.status_code, "Nothing was done" in answer.text) == (403, True)


@pytest.mark.parametrize("path", list(POST))
def test_a_viewer_changes_nothing(world: World, path: str) -> None:
    answer = world.person("viewer")
    csrf = re.search(r'name="csrf" value="(\w+)"', answer.see("/").text)
    assert csrf

    refused = answer.ask("POST", filled(path), data={"csrf": csrf[1]})

    assert (refused.status_code, "changes nothing" in refused.text) == (403, True)


def test_a_viewer_is_shown_no_way_to_change_something(world: World) -> None:
    request = world.submit()
    person = world.person("viewer")
    for path in ("/", f"/request?id={request}", "/pauses", "/requests"):
        page = person.see(path)
        assert page.status_code == 200
        assert "/cancel" not in page.text
        assert 'href="/pause"' not in page.text
        assert 'href="/start"' not in page.text


def test_the_cookie_is_a_session_that_no_script_reads_and_never_the_token(world: World) -> None:
    person = Person(world.http)
    answer = person.log_in(world.tokens["operator"])
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("sfmc_console="))

    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    for path in ("/", "/pauses"):
        page = person.see(path).text
        assert world.tokens["operator"] not in page
        assert person.cookies["sfmc_console"] not in page
    stored = [value for key in world.access.client.keys("*session*") for value in (key, world.access.client.get(key))]
    assert stored
    assert person.cookies["sfmc_console"].encode() not in b"".join(stored)


@pytest.mark.parametrize("token", ["", "wrong", "sfmc_" + "x" * 43, "x" * 5000, "\u202e"])
def test_a_wrong_token_opens_nothing(world: World, token: str) -> None:
    person = Person(world.http)
    answer = person.log_in(token)

    assert (answer.status_code, "sfmc_console" in person.cookies) == (401, False)
    assert "does not count" in answer.text


def test_a_token_of_a_source_does_not_open_the_console(world: World) -> None:
    answer = Person(world.http).log_in(world.tokens["source"])

    assert (answer.status_code, "needs one with the role" in answer.text) == (401, True)


def test_a_login_form_of_another_browser_is_refused(world: World) -> None:
    mine, other = Person(world.http), Person(world.http)
    other.see("/login")
    page = mine.see("/login").text
    csrf = re.search(r'name="csrf" value="(\w+)"', page)
    assert csrf

    answer = other.ask("POST", "/login", data={"token": world.tokens["operator"], "csrf": csrf[1]})

    assert (answer.status_code, "sfmc_console" in other.cookies) == (403, False)


def test_a_revoked_token_ends_its_logins_and_a_logout_its_own(world: World) -> None:
    person, other = world.person("viewer"), world.person("operator")
    again = Person(world.http, cookies=dict(other.cookies))
    tokens.revoke(world.access, "eve")
    assert other.send("/logout", {"csrf": csrf_of(other)}, of="/").status_code == 303

    assert person.see("/").status_code == 401
    assert again.see("/").status_code == 401


@pytest.mark.parametrize("is_elsewhere", [True, False], ids=["of another site", "of an older login"])
def test_a_form_that_does_not_belong_to_the_login_does_not_end_it(world: World, is_elsewhere: bool) -> None:
    person = world.person("viewer")
    browser = Person(world.http, cookies={} if is_elsewhere else dict(person.cookies))
    answer = browser.ask("POST", "/logout", data={"csrf": "x"})

    assert (answer.status_code, answer.headers.get_list("set-cookie")) == (303 if is_elsewhere else 403, [])
    assert person.see("/").status_code == 200


def test_each_of_two_windows_with_the_login_can_be_used(world: World) -> None:
    person = Person(world.http)
    csrf = re.search(r'name="csrf" value="(\w+)"', person.see("/pauses").text)
    assert csrf
    person.see("/requests")
    fields = {"token": world.tokens["viewer"], "csrf": csrf[1], "next": "/pauses"}

    assert person.ask("POST", "/login", data=fields).headers["location"] == "/pauses"


def csrf_of(person: Person) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', person.see("/").text)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("given", "then"),
    [("/pauses", "/pauses"), ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\evil", "/"), ("/a\nb", "/")],
)
def test_after_the_login_a_person_is_where_they_wanted_to_be_but_never_elsewhere(
    world: World, given: str, then: str
) -> None:
    person = Person(world.http)
    person.see("/login")
    page = person.see("/login").text
    csrf = re.search(r'name="csrf" value="(\w+)"', page)
    assert csrf
    fields = {"token": world.tokens["viewer"], "csrf": csrf[1], "next": given}

    assert person.ask("POST", "/login", data=fields).headers["location"] == then


def test_a_link_from_another_site_is_asked_for_once_more_so_that_the_strict_cookie_comes_along(world: World) -> None:
    answer = Person(world.http).ask("GET", "/requests?state=rejected", headers={"sec-fetch-site": "cross-site"})

    assert '<meta http-equiv="refresh" content="0; url=/requests?state=rejected">' in answer.text


@pytest.mark.parametrize("path", ["/", "/login", "/console/static/console.css", "/request?id=none", "/console/changes"])
def test_every_answer_forbids_what_is_not_ours(world: World, path: str) -> None:
    headers = Person(world.http).see(path).headers

    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("leaves", [True, False], ids=["the proxy leaves the path", "the proxy takes it away"])
def test_behind_a_proxy_with_a_path_all_addresses_have_it(redis_server, leaves: bool) -> None:
    with console_over(redis_server.url, SFMC_PUBLIC_URL="https://ops.example.com/team/imports/") as world:
        before = "/team/imports" if leaves else ""
        person = Person(world.http)
        answer = person.send(f"{before}/login", {"token": world.tokens["operator"]})
        page = person.see(f"{before}/")
        cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("sfmc_console="))

        assert answer.headers["location"] == "/team/imports/"
        assert {"secure", "path=/team/imports/"} <= {part.strip().lower() for part in cookie.split(";")}
        assert page.status_code == 200
        addresses = re.findall(r'(?:href|src|action|data-changes)="([^"#][^"]*)"', page.text)
        assert [each for each in addresses if not each.startswith("/team/imports/")] == []
        bearer = {"authorization": f"Bearer {world.tokens['operator']}"}
        made = person.ask("POST", f"{before}/v1/requests", json={"customer_key": "a"}, headers=bearer)
        assert made.headers["location"].startswith("/team/imports/v1/requests/")
        described = person.ask("GET", f"{before}/openapi.json").json()
        assert described["servers"] == [{"url": "/team/imports"}]
