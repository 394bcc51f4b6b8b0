"""Runs sources, each in a thread of its own: one that is refused or fails keeps no other waiting."""

import random
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from sfmc_import.errors import FAILURE
from sfmc_producers.notifications import Wakeup
from sfmc_producers.reporting import Reporter, Takes
from sfmc_producers.sources.receiving import PAUSES, SourceRefusedError
from sfmc_producers.sources.standing import Standing, describe_all
from sfmc_producers.sources.tables import Source
from sfmc_producers.watch import ended_by_signals

END_SECONDS = 10.0
"""How long the end of the process waits for what the sources are doing; what is left comes again at the next start."""

log = structlog.get_logger("sfmc_producers.sources")


class SourceThread(threading.Thread):
    """Runs one source until its end; an error that was not foreseen starts it again after a pause."""

    def __init__(
        self, source: Source, standing: Standing, ended: Callable[[], None], chance: Callable[[], float]
    ) -> None:
        super().__init__(name=f"sfmc-source-{source.name}", daemon=True)
        self.source, self._standing, self._ended, self._chance = source, standing, ended, chance
        self.wakeup = Wakeup()
        self.is_refused = False

    def run(self) -> None:
        """Run, and say why it ends."""
        failures = 0
        try:
            while not self.wakeup.is_closing:
                begun = time.monotonic()
                defect = self._run_once()
                if self.is_refused:
                    return
                failures = 1 if time.monotonic() - begun > PAUSES.cap else failures + 1
                pause = PAUSES.pause(failures, self._chance())
                if defect:
                    self._standing.failed(defect, again_in=pause)
                self.wakeup.wait(pause)
        finally:
            self._ended()

    def _run_once(self) -> str:
        """Run it to its end; gives what went wrong where that was not foreseen."""
        self._standing.begin()
        try:
            self.source.run(self.wakeup)
        except SourceRefusedError as error:
            self.is_refused = True
            self._standing.refused(str(error))
            log.error("source_stopped", source=self.source.name, reason=str(error), fix=error.fix)
        except Exception as error:
            # The edge of a source: it begins anew, the others go on.
            log.exception("source_failed", source=self.source.name)
            return f"{type(error).__name__}: {error}; the log has more"
        return ""


def run_sources(sources: Sequence[Source], standings: Mapping[str, Standing], takes: Takes) -> int:
    """Run until SIGTERM or SIGINT, or until every source was refused; gives the exit code.

    Meanwhile `takes` notes how each stands.

    Raises KeyboardInterrupt in the end if it was SIGINT.
    """
    wakeup = Wakeup()
    threads = [SourceThread(each, standings[each.name], wakeup.set, random.random) for each in sources]
    reporter = Reporter(
        takes,
        lambda: [each.state for each in standings.values()],
        lambda now: describe_all(standings, now),
        time.monotonic,
    )
    with ended_by_signals(wakeup) as received:
        log.info("sources_started", sources=[each.name for each in sources])
        for thread in (reporter, *threads):
            thread.start()
        while not wakeup.is_closing and any(each.is_alive() for each in threads):
            wakeup.wait(1.0)
        _end(threads, reporter)
    log.info("sources_ended")
    if signal.SIGINT in received:
        raise KeyboardInterrupt
    return FAILURE if all(each.is_refused for each in threads) else 0


def _end(threads: Sequence[SourceThread], reporter: Reporter) -> None:
    for each in threads:
        each.wakeup.stop()
    reporter.stop()
    deadline = time.monotonic() + END_SECONDS
    for thread in (*threads, reporter):
        thread.join(max(0.0, deadline - time.monotonic()))
