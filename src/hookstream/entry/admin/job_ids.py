"""The names of jobs and executors: random, with what people look for in front."""

import os
import socket

from hookstream.adapters.system import new_id
from hookstream.core.model.instant import Millis, to_rfc3339

_LONGEST_HOST = 100


def new_job_id(kind: str, now: Millis) -> str:
    """Return the id of a new job: its kind, the second in which it is asked for, and six hex digits."""
    moment = to_rfc3339(now)[:19].replace(":", "").replace("-", "")
    return f"{kind}-{moment}-{new_id()[:6]}"


def executor_name() -> str:
    """Return the name of this process as an executor: host, process id, and eight hex digits."""
    return f"{socket.gethostname()[:_LONGEST_HOST]}:{os.getpid()}:{new_id()[:8]}"
