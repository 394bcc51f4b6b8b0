"""The watcher asks a real sandbox over SOAP which definition a file is for."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.support.producer_processes import Place
from tests.support.sandbox_server import SandboxProcess

ZONES = ("Etc/GMT+12", "Pacific/Kiritimati")
"""Where the day is another than in Greenwich: until noon there, and from ten on."""

FAR_FROM_MIDNIGHT = 11
"""The hour of Greenwich at which it is evening in the first and early morning in the second."""


def test_the_file_specs_of_the_account_decide_and_what_starts_nothing_is_an_event(tmp_path, redis_server, redis):
    with SandboxProcess() as sandbox:
        sandbox.control.define("daily", FileSpec="in_%%Year%%%%MONTH%%%%day%%.csv")
        sandbox.control.define("one", FileSpec="same.csv")
        sandbox.control.define("two", FileSpec="same.csv")
        place = Place(tmp_path, redis_server)
        zone = ZONES[datetime.now(UTC).hour >= FAR_FROM_MIDNIGHT]
        place.env |= sandbox.settings() | {"SFMC_TIME_ZONE": zone}
        today = datetime.now(ZoneInfo(zone))
        for day in (today, today - timedelta(days=1)):
            place.put(f"in_{day:%Y%m%d}.csv")
        place.put("same.csv")
        place.put("stranger.csv")
        with place.watcher() as watcher:
            watcher.await_event("file_submitted")
            watcher.await_event("file_not_routed", 3)

    events = [json.loads(fields["event"]) for _, fields in redis.xrange("sfmc-import:events")]
    reported = {event["data"]["file"]["name"]: event for event in events}
    assert reported[f"in_{today:%Y%m%d}.csv"]["subject"] == "daily"
    assert reported[f"in_{today - timedelta(days=1):%Y%m%d}.csv"]["data"]["reason"] == "date_differs"
    assert reported["same.csv"]["type"] == "sfmc.import.ambiguous_route"
    assert sorted(reported["same.csv"]["data"]["customer_keys"]) == ["one", "two"]
    assert (reported["stranger.csv"]["type"], reported["stranger.csv"]["data"]["reason"]) == (
        "sfmc.import.unrouted",
        "no_match",
    )
