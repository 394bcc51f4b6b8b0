"""The lines of a [[source]] of kind `schedule`: checked with the settings, for beat runs it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from sfmc_import.schedules import MAX_MISSED_SECONDS, ON_TIME_SECONDS, Schedule, check_cron
from sfmc_import.settings.values import CustomerKey, Mid, Seconds, Zone

SCHEDULE = "schedule"
"""The kind of these sources."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


CronLine = Annotated[str, Field(max_length=200), AfterValidator(check_cron)]
MissedSeconds = Annotated[Seconds, Field(ge=ON_TIME_SECONDS, le=MAX_MISSED_SECONDS)]


class ScheduleTable(BaseModel):
    """Starts a definition by the clock."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    cron: Annotated[tuple[CronLine, ...], BeforeValidator(_as_list)] = Field(
        min_length=1, max_length=50, description='a line of cron such as "30 5 * * *", or a list of them'
    )
    customer_key: CustomerKey = Field(description="the definition that is started, 36 characters at most")
    mid: Mid | None = Field(None, description="the MID of its business unit; without it SFMC_ACCOUNT_ID of beat")
    time_zone: Zone | None = Field(
        None, description="the time zone of the lines, such as Europe/Berlin; without it SFMC_TIME_ZONE"
    )
    missed: Literal["skip", "once"] = Field("once", description="skip or once (when no beat ran at a tick)")
    missed_within: MissedSeconds = Field(
        3600.0, description='a time from "1m" to "7d": how old a missed tick may be that is made up for'
    )

    def as_schedule(self, source: str, time_zone: str) -> Schedule:
        """Give the schedule that this table describes; `time_zone` is that of the settings."""
        return Schedule(source=source, **self.model_dump() | {"time_zone": self.time_zone or time_zone})
