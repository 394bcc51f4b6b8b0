# ruff: noqa: T201, PLC0415, PTH109 - it prints its answer and loads nothing that it does not need
"""Runs in a fresh interpreter: imports modules, takes steps, and prints what changed of the globals of a host.

Usage: python child.py '{"host": true, "steps": [["name of the step", "statements"], …]}'. Standard library only, so
that a bare interpreter stays bare.
"""

import json
import locale
import logging
import os
import signal
import sys
import threading
import warnings

HOST = """
import celery, celery.signals, kombu, kombu.transport, kombu.serialization, structlog
import logging, signal, warnings
host = celery.Celery("host", broker="memory://")
host.finalize()
structlog.configure(processors=[structlog.processors.JSONRenderer()])
logging.basicConfig(level=logging.ERROR)
warnings.simplefilter("default")
signal.signal(signal.SIGTERM, lambda *_: None)
"""
NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
SOCKET_EVENTS = {"socket.bind", "socket.connect", "socket.getaddrinfo"}
PROCESS_EVENTS = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
audited = []


def audit(event, arguments):
    """Note sockets, files that are written, threads and processes; also those that have gone again."""
    if event in SOCKET_EVENTS or event in PROCESS_EVENTS or event == "_thread.start_new_thread":
        audited.append(event)
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        # A number is a file that is open already: its opening was noted, or it is a compiled module.
        path = ".pyc" if isinstance(arguments[0], int) else str(arguments[0])
        if not path.endswith(".pyc") and "__pycache__" not in path and ".pyc." not in path:
            audited.append("open for writing: " + path)


def shown(value):
    """Give a text that is equal for the same object, and different for another."""
    plain = (str, int, float, bool, type(None), tuple, list, dict)
    return repr(value) if isinstance(value, plain) else f"{type(value).__name__} {id(value)}"


def snapshot():
    """Read the globals of the table of the house rules, as a flat mapping of texts."""
    root = logging.getLogger()
    mask = os.umask(0)
    os.umask(mask)
    return {
        **{name: shown(getattr(sys, name)) for name in ("excepthook", "unraisablehook", "displayhook")},
        **{name: shown(getattr(sys, name)) for name in ("stdout", "stderr", "__stdout__", "__stderr__")},
        "threading.excepthook": shown(threading.excepthook),
        "threads": repr([thread.name for thread in threading.enumerate()]),
        "logging.root.handlers": repr([shown(handler) for handler in root.handlers]),
        "logging.root.level": repr(root.level),
        "logging.class": repr(logging.getLoggerClass()),
        "logging.raiseExceptions": repr(logging.raiseExceptions),
        "logging.levels": repr(sorted(logging._nameToLevel.items())),
        "warnings.filters": repr(warnings.filters),
        "warnings.showwarning": shown(warnings.showwarning),
        **{f"signal {number.name}": repr(signal.getsignal(number)) for number in NUMBERS},
        "environment": repr(sorted(os.environ.items())),
        "working directory": os.getcwd(),
        "locale": locale.setlocale(locale.LC_ALL),
        "umask": repr(mask),
        "sys.path": repr(sys.path),
        "recursion limit": repr(sys.getrecursionlimit()),
        "switch interval": repr(sys.getswitchinterval()),
        **of_structlog(),
        **of_kombu(),
        **of_celery(),
    }


def of_structlog():
    """Read structlog; a library that is not loaded has its defaults."""
    structlog = sys.modules.get("structlog")
    if structlog is None:
        return {"structlog.is_configured": "False"}
    configured = structlog.is_configured()
    return {
        "structlog.is_configured": repr(configured),
        **({"structlog.config": repr(structlog.get_config())} if configured else {}),
    }


def of_kombu():
    """Read kombu's tables."""
    found = {}
    transport, serialization = sys.modules.get("kombu.transport"), sys.modules.get("kombu.serialization")
    if transport is not None:
        found["kombu.aliases"] = repr(sorted(transport.TRANSPORT_ALIASES.items()))
        found["kombu.transport cache"] = repr(sorted(transport._transport_cache))
    if serialization is not None:
        found["kombu.serializers"] = repr(sorted(serialization.registry._encoders))
    return found


def of_celery():
    """Read Celery's registries; without Celery there is no current app."""
    state, signals = sys.modules.get("celery._state"), sys.modules.get("celery.signals")
    if state is None:
        return {"celery.current app": "None", "celery.default app": "None"}
    found = {
        "celery.current app": repr(getattr(getattr(state._tls, "current_app", None), "main", None)),
        "celery.default app": repr(getattr(state.default_app, "main", None)),
        "celery.apps": repr(sorted(str(app.main) for app in list(state._apps))),
        "celery.finalizers": repr(len(state._on_app_finalizers)),
    }
    if signals is not None:
        named = {name: getattr(signals, name) for name in dir(signals)}
        receivers = {name: len(each.receivers or []) for name, each in named.items() if hasattr(each, "receivers")}
        found |= {f"celery.signals.{name}": repr(count) for name, count in receivers.items()}
    return found


def where_shared_tasks_land():
    """Define a shared task as a host does."""
    import celery

    @celery.shared_task(name="host.shared")
    def shared():
        pass

    return str(shared.app.main)


def changes(before, after):
    """Give each row that differs; a row that was not there before came with a library."""
    rows = {row: [before[row], after[row]] for row in before if before[row] != after.get(row)}
    return rows | ({"audit": ["", ", ".join(sorted(set(audited)))]} if audited else {})


def main():
    """Take the steps and print what each changed."""
    order = json.loads(sys.argv[1])
    host = {}
    if order["host"]:
        exec(HOST, host)
    sys.addaudithook(audit)
    steps = {}
    for name, statements in order["steps"]:
        before = snapshot()
        audited.clear()
        exec(statements, {})
        steps[name] = changes(before, snapshot())
    print(
        json.dumps(
            {
                "steps": steps,
                "modules": sorted(sys.modules),
                "shared task": where_shared_tasks_land() if order["host"] else None,
            }
        )
    )


if __name__ == "__main__":
    main()
