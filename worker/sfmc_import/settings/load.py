"""Reads the settings from environment, secret files and TOML and reports everything that is wrong at once."""

import errno
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from sfmc_import.errors import SettingsError
from sfmc_import.proxies import read_proxies
from sfmc_import.redaction import KNOWN
from sfmc_import.settings.model import Settings, cross_problems, missing_login
from sfmc_import.settings.policy_file import Tables, read_tables
from sfmc_import.settings.problems import field_problems, unknown_name

PREFIX = "SFMC_"
CONFIG = "SFMC_CONFIG"
SECRETS_DIR = "SFMC_SECRETS_DIR"
DEFAULT_CONFIG = "sfmc-import.toml"
DEFAULT_SECRETS = "/run/secrets"
SEE = "list all settings with: sfmc-import doctor --settings"
# Variables of the Compose file, and of the sandbox: a shell may have them beside ours.
FOREIGN = frozenset(
    {"SFMC_IMAGE", "SFMC_ARRIVALS", "SFMC_SECRETS", "SFMC_ENV_FILE", "SFMC_POLICY_FILE", "SFMC_SERVE_PORT"}
)
FOREIGN_PREFIX = "SFMC_SANDBOX_"
SECRET_PREFIXES = {"source": "SFMC_SOURCE_", "target": "SFMC_TARGET_", "notify": "SFMC_NOTIFY_"}
"""Begin the secrets of these: SFMC_SOURCE_NAME_PASSWORD, with the name in capitals, _ for -."""

FROM_FILE = frozenset(
    {"policies", "routes", "proxies", "sources", "targets", "schedule_tables", "notifications", "source_secrets"}
)
SECRETS = frozenset(name for name, each in Settings.model_fields.items() if each.annotation is SecretStr)
"""Settings that may stand in a secret file alone."""

NAMES = {PREFIX + field.upper(): field for field in Settings.model_fields if field not in FROM_FILE}
"""Variables and the fields they set."""


def load(
    environ: Mapping[str, str],
    *,
    marketing_cloud: bool = False,
    more: Callable[[Tables], Iterable[str]] = lambda _: (),
) -> Settings:
    """Read all settings; variables win over secret files. `marketing_cloud` asks for a complete login too.

    `more` says what is wrong in the tables that only the caller knows how to check.

    Raises:
        SettingsError: with a line for every problem of every source.
    """
    found = read_all(environ, marketing_cloud=marketing_cloud, more=more)
    if found.problems:
        raise SettingsError(found.problems)
    return found.settings


@dataclass(frozen=True, slots=True)
class Found:
    """All settings, and a line for every problem; those that are `suspect` are wrong or missing, or not known."""

    settings: Settings
    problems: Sequence[str]
    suspect: frozenset[str]


def read_all(
    environ: Mapping[str, str],
    *,
    marketing_cloud: bool = False,
    more: Callable[[Tables], Iterable[str]] = lambda _: (),
) -> Found:
    """Read what can be read, for who goes on with what is sound; the arguments are those of `load`."""
    problems: list[str] = []
    given = _secret_files(environ, problems) | _variables(environ)
    unread = {name for name in SECRETS if problems and variable(name) not in given}
    secrets = {name: given.pop(name) for name in list(given) if name.startswith(tuple(SECRET_PREFIXES.values()))}
    problems += [unknown_name(name, _known(), SEE, PREFIX) for name in given if name not in _known()]
    tables = _toml(environ, problems)
    values: dict[str, Any] = {NAMES[name]: text for name, text in given.items() if name in NAMES}
    settings, wrong = _settings(values, tables, secrets)
    problems += [*_unused(secrets, tables), *wrong.values()]
    proxies: list[str] = []
    settings = _with_proxies(settings, environ, proxies)
    problems += proxies if marketing_cloud else []
    unread |= {"proxy"} if proxies else set()
    suspect = set(wrong)
    for fields, line in chain(cross_problems(settings), missing_login(settings) if marketing_cloud else ()):
        problems += [] if fields & suspect else [line]
        suspect |= fields
    KNOWN.learn(*settings.secrets())
    return Found(settings, [*problems, *more(tables)], frozenset(suspect | unread))


def _with_proxies(settings: Settings, environ: Mapping[str, str], problems: list[str]) -> Settings:
    try:
        proxies = read_proxies(settings.proxy.get_secret_value(), environ)
    except ValueError as error:
        problems.append(str(error))
        return settings
    return settings.model_copy(update={"proxies": proxies})


def variable(field: str) -> str:
    """Give the environment variable of a field."""
    return PREFIX + field.upper()


def described() -> Iterator[tuple[str, str, str]]:
    """Yield name, default as text and meaning of every variable; a secret and what is not set have no default."""
    for name, field in NAMES.items():
        described_field = Settings.model_fields[field]
        default = described_field.get_default()
        shown = "" if default is None or isinstance(default, SecretStr) else default
        yield name, f"{shown:g}" if isinstance(shown, float) else str(shown), described_field.description or ""
    yield CONFIG, DEFAULT_CONFIG, "the policy file"
    yield SECRETS_DIR, DEFAULT_SECRETS, "the folder of the secret files"


def _known() -> set[str]:
    return {*NAMES, CONFIG, SECRETS_DIR}


def _settings(values: dict[str, Any], tables: Tables, secrets: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """Build the settings; wrong fields take their default and give a line each."""
    beside = {"policies": tables.policies, "routes": tables.routes, "sources": tables.sources}
    beside |= {"schedule_tables": tables.schedules, "targets": tables.targets, "notifications": tables.notifications}
    beside |= {"source_secrets": {name: SecretStr(text) for name, text in secrets.items()}}
    try:
        return Settings.model_validate(values | beside), {}
    except ValidationError as error:
        wrong = field_problems(error, Settings, values, variable)
    sound = {name: value for name, value in values.items() if name not in wrong}
    return Settings.model_validate(sound | beside), wrong


def _unused(secrets: Mapping[str, str], tables: Tables) -> list[str]:
    """Name the secrets of sources, targets and notifications that there are not."""
    named = {
        "source": [each.name for each in tables.sources],
        "target": [each.name for each in tables.targets],
        "notify": list(tables.notifications),
    }
    return [line for kind, names in named.items() for line in _unused_of(kind, names, secrets)]


def _unused_of(kind: str, names: Sequence[str], secrets: Mapping[str, str]) -> list[str]:
    # A process without a policy file may have the secrets of another all the same.
    if not names:
        return []
    prefix = SECRET_PREFIXES[kind]
    known = tuple(f"{prefix}{each.upper().replace('-', '_')}_" for each in names)
    wrong = [name for name in secrets if name.startswith(prefix) and not name.startswith(known)]
    return [f"{name}: no {kind} has this name; there are: {', '.join(names)}" for name in wrong]


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    # An empty variable is how Compose files and unit files say "not set".
    return {name: text for name, text in environ.items() if _is_ours(name) and text.strip()}


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and name not in FOREIGN and not name.startswith(FOREIGN_PREFIX)


def _secret_files(environ: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    folder = Path(environ.get(SECRETS_DIR) or DEFAULT_SECRETS)
    if not folder.is_dir():
        if environ.get(SECRETS_DIR):
            problems.append(
                f"{SECRETS_DIR}: {str(folder)!r} is not a folder; give the folder that has the secret files"
            )
        return {}
    found: dict[str, str] = {}
    try:
        for file in sorted(_ours(folder.iterdir())):
            found[file.name.upper()] = _text_of(file).strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(
            f"{SECRETS_DIR}: a secret file cannot be read ({_reason(error)}); make it readable for this user"
        )
    return {name: text for name, text in found.items() if text}


def _ours(files: Iterable[Path]) -> list[Path]:
    return [file for file in files if file.name.upper().startswith(PREFIX) and file.is_file()]


def _toml(environ: Mapping[str, str], problems: list[str]) -> Tables:
    named = environ.get(CONFIG)
    file = Path(named or DEFAULT_CONFIG)
    if not named and not file.is_file():
        return Tables()
    try:
        document = tomllib.loads(_text_of(file))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{CONFIG}: {str(file)!r} cannot be read ({_reason(error)}); give the path of a TOML file")
        return Tables()
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{file}: not valid TOML: {error}; correct this line")
        return Tables()
    return read_tables(document, str(file), problems)


def _text_of(file: Path) -> str:
    """Read a file of settings; a pipe or a device would be waited for, or read, without end."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return file.read_text(encoding="utf-8")


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8"
