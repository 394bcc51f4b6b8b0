"""Which checks there are, as commands; runs none."""

import sys
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
COMPOSE_FILE = "docker-compose.yml"
DEMO = ("--env-file", "ops/compose/demo.env", "--profile", "demo")
DOCKERFILE = "ops/Dockerfile"


@dataclass(frozen=True)
class Step:
    """One check: what it makes sure of, and the command that fails when it is not so."""

    name: str
    command: tuple[str, ...]


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a tool installed beside this interpreter."""
    return (str(BIN / name), *arguments)


def steps() -> list[Step]:
    """Return every check that this platform has the tools for, quickest first."""
    return [
        Step("style", tool("ruff", "check", "--quiet")),
        Step("layout", tool("ruff", "format", "--check", "--quiet")),
        Step("compose file against its schema", tool(*SCHEMA_CHECK)),
        *linux_only_steps(),
        Step("import contracts", tool("lint-imports", "--no-logo")),
        Step("types", tool("mypy")),
    ]


def linux_only_steps() -> list[Step]:
    """Return the checks whose tools are published for Linux only (real Compose and hadolint binaries)."""
    if not sys.platform.startswith("linux"):
        return []
    compose = ("docker-compose", "--file", COMPOSE_FILE)
    return [
        Step("compose file", tool(*compose, "config", "--quiet")),
        Step("compose file with the demo", tool(*compose, *DEMO, "config", "--quiet")),
        Step("image recipe", tool("hadolint", DOCKERFILE)),
    ]


SCHEMA_CHECK = ("check-jsonschema", "--quiet", "--builtin-schema", "vendor.compose-spec", COMPOSE_FILE)
