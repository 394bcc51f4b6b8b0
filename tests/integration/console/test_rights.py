"""The console with exactly the rights in Redis that the page about Redis gives it."""

import redis as redis_py

from sfmc_import.redis_rights import rules
from sfmc_local.redis_server import Valkey
from sfmc_server.console.application import GET
from tests.support.console import MID, console_over
from tests.support.console_data import busy, watch


def url_with_rights(server: Valkey) -> str:
    with redis_py.Redis.from_url(server.url) as admin:
        version = tuple(map(int, str(admin.info("server")["redis_version"]).split(".")[:2]))
        known = [rule for rule in rules("server", "sfmc-import:") if rule != "+waitaof" or version >= (7, 2)]
        # The data of this test say themselves that processes live.
        admin.execute_command("ACL", "SETUSER", "serve", "reset", ">pw", *known, "+zremrangebyscore")
    return f"redis://serve:pw@127.0.0.1:{server.port}/0"


def test_each_page_and_action_works_with_the_rights_of_a_server(own_valkey: Valkey) -> None:
    with console_over(url_with_rights(own_valkey)) as world:
        found = busy(world.access)
        watch(world.access)
        person = world.person("operator")
        query = f"?mid={MID}&customer_key=Daily_Orders&id={found['deferred']}&q=orders&location=%2Fdrop%2Fold"
        shown = {path: person.see(path + query).status_code for path in GET if "{" not in path}
        assert {path: code for path, code in shown.items() if code not in {200, 303}} == {}

        world.console.feed.read()
        letter = world.access.broker.xrange(world.access.broker_keys.dead_letters, count=1)[0][0].decode()
        done = [
            person.send(f"/request/force?id={found['deferred']}", {"reason": "late"}),
            person.send(f"/request/cancel?id={found['queued']}", {}),
            person.send(f"/request/replay?id={found['failed']}", {}),
            person.send("/pause", {"reason": "night"}),
            person.send("/resume", {}, of="/pauses"),
            person.send(f"/dead-letters/{letter}/delete", {}),
            person.send("/folders/forget", {}, of="/folders/forget?location=%2Fdrop%2Fold"),
        ]
        assert [answer.status_code for answer in done] == [303] * 7
    with redis_py.Redis.from_url(own_valkey.url) as admin:
        assert admin.execute_command("ACL", "LOG") == []
