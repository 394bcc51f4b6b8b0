"""Beat sleeps until a sweep is due; it does not wake early and ask until then."""

import itertools
import time

import pytest
from celery import Celery
from celery.beat import SchedulingError
from celery.schedules import schedule

from sfmc_import.celery_app import celery_settings, every
from sfmc_import.scheduler import LoggingScheduler
from sfmc_import.settings import Settings


class Counting(LoggingScheduler):
    """Counts what is sent, and sends nothing."""

    sent = 0

    def apply_async(self, entry, producer=None, advance=True, **kwargs):
        del entry, producer, advance, kwargs
        self.sent += 1


def test_between_two_sweeps_beat_sleeps_once_for_the_whole_time():
    app = Celery("beat", set_as_current=False, broker="memory://")
    app.conf.beat_schedule = {"sweep": {"task": "sweep", "schedule": schedule(60.0, app=app)}}
    scheduler = Counting(app)
    waits = [scheduler.tick() for _ in range(2)]

    assert scheduler.sent <= 1
    assert 59.9 < waits[-1] <= 60.0
    assert scheduler.adjust(60.0) == 60.0
    assert scheduler.adjust(0.0) == 0.0


def test_sweeps_are_due_by_a_clock_that_none_sets():
    app, clock = Celery("beat", set_as_current=False, broker="memory://"), itertools.count(1000.0, 30.0)
    app.conf.beat_schedule = {"sweep": {"task": "sweep", "schedule": every(60.0, lambda: seconds[0])}}
    seconds = [next(clock)]
    scheduler = Counting(app)
    scheduler.tick()
    sent = []
    for seconds[0] in itertools.islice(clock, 4):
        scheduler.tick(), scheduler.tick()
        sent.append(scheduler.sent)

    assert sent == [0, 1, 1, 2]


def test_the_sweeps_of_beat_do_not_depend_on_the_date_of_its_machine():
    used = celery_settings(Settings())["beat_schedule"]["sweep"]["schedule"]

    assert used.now().timestamp() == pytest.approx(time.monotonic(), abs=60)


def test_a_sweep_that_is_not_needed_is_not_sent_and_the_next_one_is_in_time():
    app = Celery("beat", set_as_current=False, broker="memory://")
    app.conf.beat_schedule = {"sweep": {"task": "sweep", "schedule": schedule(0.01, app=app)}}
    answers = iter([False, False, True])
    scheduler = Counting(app, is_needed=lambda: next(answers))
    entry = next(iter(scheduler.schedule.values()))
    sent = []
    for _ in range(3):
        scheduler.apply_entry(entry)
        sent.append(scheduler.sent)

    assert sent == [0, 0, 1]


class Failing(LoggingScheduler):
    """Sends only while `is_away` is not set."""

    is_away = True

    def apply_async(self, entry, producer=None, advance=True, **kwargs):
        del entry, producer, advance, kwargs
        if self.is_away:
            raise SchedulingError("no broker")


def test_an_outage_of_the_broker_is_noted_once_and_its_end_too():
    app = Celery("beat", set_as_current=False, broker="memory://")
    noted = []
    scheduler = Failing(app, note=noted.append)
    for is_away in (False, False, True, True, False, False):
        scheduler.is_away = is_away
        scheduler.apply_entry(None)

    assert noted == [False, True, False]
