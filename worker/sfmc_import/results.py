"""Where a caller finds the outcome that it asked for: Celery's Redis backend, which a full Redis cannot stop."""

from typing import Any

import structlog
from celery.backends.redis import RedisBackend
from redis.exceptions import ExecAbortError, OutOfMemoryError

log = structlog.get_logger("sfmc_import.results")


class Results(RedisBackend):
    """Leaves out the result that a Redis without memory refuses: its message is done, and would come again else."""

    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **options: Any) -> Any:
        """As Celery's."""
        try:
            return super().store_result(task_id, result, state, *args, **options)
        except (OutOfMemoryError, ExecAbortError) as error:
            log.warning("result_not_stored", error=str(error))
            return result


def backend_url(celery_url: str) -> str:
    """Give the `result_backend` of Celery: this class, and the address."""
    return f"{__name__}:{Results.__name__}+{celery_url.removeprefix('redis+')}"
