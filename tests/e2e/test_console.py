"""The console of `sfmc-import serve` as a process: an operator starts an import and sees how it ends."""

import json
import re
import subprocess

import httpx

from sfmc_server.console.login import COOKIE
from tests.support.console import Person
from tests.support.processes import running_system
from tests.support.waiting import eventually


def port_of(log: str) -> int | None:
    started = (json.loads(line) for line in log.splitlines() if "server_started" in line and line.startswith("{"))
    return next((int(each["port"]) for each in started), None)


def test_an_operator_starts_an_import_at_the_console_and_sees_how_it_ends_and_what_waits_for_its_window() -> None:
    with running_system(least_rights=True) as stack:
        stack.worker()
        stack.beat()
        stack.sandbox.control.define("orders", FileSpec="orders.csv", MaxImportFrequency=240)
        stack.sandbox.drop("orders.csv", "Key,Value\n1,one\n")
        token = stack.run("tokens", "add", "ann", "--role", "operator").stdout.strip()
        child = stack.start("serve", "--port", "0")
        port = eventually(lambda: port_of(stack.log_of(child).read_text()), 60, "the server listens")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=40) as client:
            person = Person(client)
            assert person.log_in(token).status_code == 303

            first = start(person, "1")
            eventually(lambda: "completed</span>" in person.see(first).text, 60, "the page says that it completed")
            second = start(person, "2")
            waits = eventually(lambda: wait_in(person.see(second).text), 60, "the page says why it waits")

            assert "MaxImportFrequency" in waits
            request = second.partition("&")[0].removeprefix("/request?id=")
            assert f"/request?id={request}" in person.see("/").text
            cancelled = person.send(f"/request/cancel?id={request}", {"reason": "not today"})
            assert "not today" in person.see(cancelled.headers["location"]).text
            ends_although_a_page_is_open(child, client, person)
        log = stack.log_of(child).read_text()
        assert token not in log
        assert "Traceback" not in log


def ends_although_a_page_is_open(child: subprocess.Popen[bytes], client: httpx.Client, person: Person) -> None:
    cookie = {"cookie": f"{COOKIE}={person.cookies[COOKIE]}"}
    with client.stream("GET", "/console/changes", headers=cookie) as page:
        assert next(page.iter_lines()) == "retry: 2000"
        child.terminate()
        eventually(lambda: child.poll() is not None, 20, "the server ends although a page is open")


def start(person: Person, version: str) -> str:
    given = {"customer_key": "orders", "name": "orders.csv", "location": "/in", "version": version}
    mid = re.search(r'name="mid"[^>]* value="(\d+)"', person.see("/start").text)
    assert mid
    shown = person.send("/start", {**given, "mid": mid[1]})
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', shown.text.partition("<main")[2]))
    return str(person.ask("POST", "/start", data=hidden).headers["location"])


def wait_in(page: str) -> str:
    found = re.search(r"Why it waits: window</h2>.*?</section>", page, re.DOTALL)
    return found[0] if found else ""
