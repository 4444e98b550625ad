"""The settings of who makes trials: this process, or the workers of a Ray cluster."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from .endpoint import Table

LOCAL = "local"
RAY = "ray"
_ADDRESS = re.compile(r"ray://(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::(?P<port>[0-9]{1,5}))?")
_PORT = "10001"  # of Ray's own default


class RaySettings(Table):
    """Workers on a Ray cluster. Needs the extra `ray`.

    Attributes:
        workers: Worker processes for each sort of `ray_resources`. None: as many as the cluster has room for,
            at most 16.
        cpus: CPUs that each worker reserves. Workers mostly wait for servers, so a share may do.
        start_timeout_s: How long to wait for the cluster and its first worker, in seconds.
        send_keys: Send API keys and proxies of your settings to the workers. Off: they need keys in their own
            environment.
    """

    workers: int | None = Field(default=None, ge=1, le=1024)
    cpus: float = Field(default=1.0, ge=0, le=1024)
    start_timeout_s: float = Field(default=120.0, gt=0, le=3600)
    send_keys: bool = False


def executor_name(value: str) -> str:
    """Returns a usable value of the setting `executor`. ValueError says what may be written."""
    found = _ADDRESS.fullmatch(value)
    if value in (LOCAL, RAY) or (found is not None and 0 < int(found["port"] or _PORT) < 65536):
        return value if found is None or found["port"] else f"{value}:{_PORT}"
    raise ValueError(
        "write local (this process), ray (a Ray cluster started on this machine) or ray://HOST:PORT (10001 by default)"
    )


ExecutorName = Annotated[str, AfterValidator(executor_name)]
