"""What one schedule consists of: definitions, policy, what happens at which step, and the faults; also as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

LEASE = 180.0
RESULTS_DELAY = 60.0
CALL = 60.0
"""Seconds: the lease, the longest time until a row appears, and the longest time of a call to Marketing Cloud."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionPlan:
    """One ImportDefinition; `hours` is its MaxImportFrequency, `group` the group whose limit counts it.

    Its starts wait until the one with the key `after` has a completed run.
    """

    key: str
    file_spec: str
    hours: int = 0
    update_type: str = "AddAndUpdate"
    group: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that begins at a step: a request, a message, an outage, a jump of time.

    `request` is the id of the request that it makes, `name` the FileSpec that its file is named by; `spelling` says
    how the request, or the operator, names its definition. Of a limit `key` is the group, `version` the new limit.
    `eta` and `expires` are those of a Celery message, in seconds from then.
    """

    step: int
    kind: str
    request: str = ""
    key: str = ""
    spelling: Literal["", "upper", "blank", "object", "former"] = ""
    name: str = ""
    version: int = 0
    seconds: float = 0.0
    eta: float | None = None
    expires: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What befalls a call: one fault if it goes to Redis, another if it goes to Marketing Cloud.

    It befalls the call of this step, or with `call` the next `times` calls of this name from this step on; with
    `request` only those for this request.
    """

    step: int
    on_redis: str
    on_cloud: str
    call: str = ""
    request: str = ""
    times: int = 1
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that decides a schedule.

    `policy` has the fields of sfmc_import.policy.Policy that differ from their defaults. `limits` says how many imports
    of each group run at once when it begins. Each of the
    `workers` carries out as many messages at once as it has `slots`. `begins` is the time until
    midnight in the zone of the account when the schedule begins, in seconds. `lag` is the longest time until a row
    appears, `run` that of a run. `odd_runs` is the share of runs that do not end well, `hidden_rows` the share of
    rows that never appear. With `odd_ids` a later run may have a lower TaskResultID. With `operator` somebody resolves
    unknown starts and has runs followed again. The clocks of Redis and of the workers are ahead of that of Marketing
    Cloud by so many seconds, or behind it.
    """

    seed: int
    steps: int
    definitions: tuple[DefinitionPlan, ...]
    policy: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    baseline: bool = True
    workers: int = 2
    slots: int = 1
    odd_runs: float = 0.0
    hidden_rows: float = 0.0
    odd_ids: bool = False
    operator: bool = False
    lag: float = 20.0
    run: float = 60.0
    begins: float = 43_200.0
    redis_ahead: float = 0.0
    workers_ahead: float = 0.0
    happenings: tuple[Happening, ...] = ()
    faults: tuple[Fault, ...] = ()


ALWAYS = frozenset({"step", "eta", "expires"})
"""Fields of a happening whose 0 means something."""


def to_json(plan: Plan) -> str:
    """Give a plan as text, one happening or fault a line."""
    fields = asdict(plan)
    lines = [f'  "{name}": {json.dumps(value)}' for name, value in fields.items() if not isinstance(value, tuple)]
    for name in ("definitions", "happenings", "faults"):
        entries = ",\n".join("    " + json.dumps(_brief(entry)) for entry in fields[name])
        lines.append(f'  "{name}": [\n{entries}\n  ]' if entries else f'  "{name}": []')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _brief(entry: Mapping[str, Any]) -> dict[str, Any]:
    usual = {"times": 1, "update_type": "AddAndUpdate"}
    return {
        name: value
        for name, value in entry.items()
        if value is not None and (name in ALWAYS or value not in {"", usual.get(name, 0)})
    }


def from_json(text: str) -> Plan:
    """Read a plan; raises ValueError or TypeError for a text that is none."""
    fields: dict[str, Any] = json.loads(text)
    kinds = {"definitions": DefinitionPlan, "happenings": Happening, "faults": Fault}
    for name, kind in kinds.items():
        fields[name] = tuple(kind(**entry) for entry in fields[name])
    return Plan(**fields)
