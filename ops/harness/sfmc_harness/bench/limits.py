"""Why goals are missed: what the limit is of each line that does not reach its goal, as far as it is known."""

from collections.abc import Mapping
from dataclasses import replace

from sfmc_harness.bench.before import BEFORE
from sfmc_harness.bench.figures import Figure

LIMITS = {
    "% of a core that an idle worker": "it wakes about eight times a second: it waits for a message, looks into other"
    " lists, for Redis moves a message from one list only (BLMOVE), writes the number that shows lost writes, each once"
    " a second, and says that it lives (ADR 32)",
    "MB of memory of an idle worker": "Python takes 10 MB, the libraries that a start needs (Celery, redis-py,"
    " pydantic, lxml, zeep) and what they import 50 MB, our own modules 13 MB (ADR 32)",
    "MB of memory of an idle": "Python takes 10 MB, the libraries and what they import most of the rest (ADR 32)",
    "POSTs a second of a push source": "a POST is checked, read as one of five forms and recorded by one script in"
    " Redis before its answer; the empty endpoint does none of it",
    "ms from a stable file to Perform": "the request is recorded about 2 ms after the file is stable, in both folders"
    " (see the detail); the rest is the start: the definition and newer runs are read before Perform. The machine that"
    " measures runs watcher, worker, Redis and stand-in on two cores (ADR 32)",
    "CPU of a start ÷ no-op": "a start alone in one thread, with three calls, costs 1.2 to 1.3 ms; with 32 threads and"
    " Celery 2.4 to 3.2 ms. Threads wait for the interpreter: 50 to 99 voluntary changes of thread a start, 4 to"
    " 7 for a no-op. A round trip to Redis is 11 to 17 µs (ADR 35)",
    "duplicates ÷ no-op": "it costs 1.4 to 1.8 no-op tasks of CPU: the message is claimed and answered by scripts"
    " that a no-op has not, and Redis needs about 0.3 ms for them (ADR 28, 35)",
    "CPU of Redis for a start": "Lua is interpreted: the commands of the six scripts take an eighth of their time"
    " (ADR 28)",
    "CPU of Redis for a duplicate": "Lua is interpreted: the commands of the three scripts take an eighth of their time"
    " (ADR 28)",
    "SOAP calls of a start, 1 at once": "its definition is read right before it, and newer runs are listed: 3. It is 2"
    " where another process of the account has just read the definition, or with SFMC_KNOWN_RUNS=ledger (ADR 26)",
    "SOAP calls of a start, 400 at once": "32 threads ask two questions a wave: 1.06 at best (ADR 26)",
    "bytes of Redis for an event": "the CloudEvent itself has 567 to 646 bytes, of which 205 are the file (ADR 28)",
    "64 threads at 300 ms": "a start takes 4 to 6 ms of the processor with 64 threads, so 213 a second take 0.85 to 1.2"
    " of the one core that Python uses, and each waits 30 ms or more for it; 0.97 would be 9 ms (ADR 26)",
    "events a second from SQS": "the four receivers of the source wait for Redis for three fifths of their working time"
    " (sampled every 4 ms): each event runs one script and puts one message into the queue there; a quarter goes to"
    " the deletion at SQS",
    "CPU of Redis for a start at 1000000": "the embedded Valkey is built with the malloc of glibc: 24 % of its CPU goes"
    " there with a million definitions, 3 % with a thousand (perf). With jemalloc loaded into it the line was 1.28; the"
    " rest is data that is in no cache of the processor",
    "starts a second, last tenth": "the server has 100,000 records and events more to the end; it was 0.93 to 1.03 on a"
    " machine that did other work",
    "bytes by which the worker grows": "glibc keeps freed memory in a cache of each of its 68 threads, until these are"
    " full: with GLIBC_TUNABLES=glibc.malloc.tcache_count=0 what is allocated does not grow (ADR 29)",
    "rate of a backlog": "a sweep sends each request a wake-up, and its thread reads the record before the claim:"
    " 0.1 to 1.5 ms of CPU more than a fresh message (ADR 29)",
    "bytes that a start with a file leaves": "the record alone has 336 to 352 bytes, by the digits of times (ADR 28)",
}
"""The first words of a line, and its limit."""


def explained(figure: Figure) -> Figure:
    """Add to a figure its limit, and what it was before; the longest beginning counts."""
    return replace(figure, limit=figure.limit or _of(LIMITS, figure.line), before=_of(BEFORE, figure.line))


def _of(texts: Mapping[str, str], line: str) -> str:
    return texts[max(known, key=len)] if (known := [begin for begin in texts if line.startswith(begin)]) else ""
