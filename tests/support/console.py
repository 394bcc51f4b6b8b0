"""The console in this process over a real Redis, and a person who looks at it."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from sfmc_import.access import ReadAccess
from sfmc_import.client import Client
from sfmc_import.operations import tokens
from sfmc_import.settings import load
from sfmc_server import api
from sfmc_server.application import create_app
from sfmc_server.console import application as console
from tests.support.asgi_client import AppClient

MID = "510001234"


@dataclass
class Person:
    """A browser without scripts: it keeps cookies, follows no redirect, and fills in forms."""

    http: AppClient | httpx.Client
    prefix: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask once, with the cookies."""
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        # Also when it is empty: the client under it keeps the cookies of all persons.
        headers = {"cookie": kept, **more.pop("headers", {})}
        answer = self.http.request(method, path, headers=headers, **more)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies = {**self.cookies, name: value.strip('"')}
            self.cookies = {each: text for each, text in self.cookies.items() if text}
        return answer

    def see(self, path: str) -> httpx.Response:
        """Open a page."""
        return self.ask("GET", path)

    def log_in(self, token: str) -> httpx.Response:
        """Fill in the login."""
        return self.send("/login", {"token": token}, of="/login")

    def send(self, path: str, fields: Mapping[str, str], of: str | None = None) -> httpx.Response:
        """Open the page `of`, and send its form with these fields; what is hidden in it goes along."""
        page = self.see(of or path).text
        main = page.partition("<main")[2]
        found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', main)
        return self.ask("POST", path, data={**dict(found), **fields})


@dataclass
class World:
    """The console, and who may use it."""

    app: FastAPI
    http: AppClient | httpx.Client
    access: ReadAccess
    client: Client
    console: console.Console
    tokens: Mapping[str, str]

    def person(self, role: str) -> Person:
        """Give somebody who is logged in with a role."""
        person = Person(self.http)
        assert person.log_in(self.tokens[role]).status_code == 303
        return person

    def ask(self, method: str, path: str, role: str = "viewer", **more: Any) -> Any:
        """Ask the API with the token of a role."""
        return self.http.request(method, path, headers={"authorization": f"Bearer {self.tokens[role]}"}, **more)

    def submit(self, key: str = "orders", name: str = "orders.csv", **more: Any) -> str:
        """Record a request."""
        return self.client.submit(customer_key=key, mid=MID, file={"name": name, "version": "1"}, **more).request_id


@contextmanager
def console_over(url: str, *, is_ending: bool = False, **settings: str) -> Iterator[World]:
    """Serve the console in this process, as a server that ends or does not."""
    known = load({"SFMC_REDIS_URL": url, "SFMC_ACCOUNT_ID": MID, **settings})
    access = ReadAccess(known)
    made, ended = [], threading.Event()
    if is_ending:
        ended.set()

    def add(app: FastAPI) -> None:
        api.add_to(app, access, client, ended.is_set)
        made.append(console.add_to(app, access, client, ended.is_set))

    with Client.from_settings(known) as client:
        roles = {"operator": "ann", "viewer": "eve", "source": "drop"}
        given = {role: tokens.add(access, name, role, "test") for role, name in roles.items()}  # type: ignore[arg-type]
        app = create_app({}, lambda: True, add)
        with AppClient(app) as http:
            try:
                yield World(app, http, access, client, made[0], given)
            finally:
                ended.set()
