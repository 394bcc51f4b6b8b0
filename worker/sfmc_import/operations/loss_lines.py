"""Says in one line what Redis has lost; of a ledger that may be new it is a short one."""

from sfmc_import.operations.lost_writes import LossView


def line(loss: LossView) -> str:
    """Give it with what to do; `doctor` and the API say all of it."""
    if not loss.may_be_new:
        return f"{loss.text}; to do: {loss.advice}"
    again = f", another server answers since {loss.again:%H:%M:%S}" if loss.again else ""
    until = f"until {loss.until:%H:%M} UTC starts look first for runs that are not known here"
    return f"The ledger was empty at {loss.since:%Y-%m-%d %H:%M:%S} UTC{again}: {until}; if it is not new, see doctor"
