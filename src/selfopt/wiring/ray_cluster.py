"""Connects to a Ray cluster, or starts one on this machine. Nobody else imports Ray."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import platform
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selfopt.errors import ClusterError, SettingsError
from selfopt.home import escape_control
from selfopt.home.extras import extra_needed
from selfopt.settings.executing import RAY, RaySettings

from .ray_reach import require_reachable, token_of

_OBJECT_STORE_BYTES = 100 * 1024 * 1024
_LOCAL_WORKERS = 4
# Ray reports its use to its makers, unless it is told not to, and gives its workers less of a busy machine than others get.
# It reads these when it is imported.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def _token() -> dict[str, str]:
    """Ray's clients send the token of this user only where this says so, and Ray's clusters want one unless told otherwise."""
    named = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    return {"RAY_AUTH_MODE": "token"} if named or token_of(os.environ, Path.home())[0] else {}


def require_ray(address: str) -> None:
    """Raise SettingsError if what an executor needs is not installed."""
    wanted = ("ray",) if address == RAY else ("ray", "grpc")
    if any(find_spec(name) is None for name in wanted):
        raise SettingsError(f"executor {address!r} needs {extra_needed('ray')}; or take executor local")


class RayCluster:
    """A connection to a cluster, with a thread of its own. Made by `connect`.

    What Ray starts ends with the thread that started it. In the main one it would put its own handler of signals in the
    place of ours, and the seconds that it takes would be everybody's.

    Attributes:
        ray: the package.
    """

    def __init__(self, ray: Any, address: str, settings: RaySettings) -> None:
        self.ray = ray
        self._address = address
        self._settings = settings
        self._failure: BaseException | None = None
        self._connected = asyncio.Event()
        self._leave = threading.Event()
        self._loop = asyncio.get_running_loop()
        # A daemon, because a cluster that does not answer must not keep the command from ending.
        self._thread = threading.Thread(target=self._stay, name="ray", daemon=True)

    @classmethod
    async def connect(cls, address: str, settings: RaySettings) -> RayCluster:
        """Connect, or start a cluster for the address `ray`.

        Raises:
            SettingsError: Ray is not installed.
            ClusterError: the cluster cannot be used.
        """
        require_ray(address)
        for name, value in {**_QUIET, **_token()}.items():
            os.environ.setdefault(name, value)
        if address != RAY:
            await require_reachable(address)
        import ray

        logging.getLogger("ray").setLevel(logging.ERROR)  # what it warns of while it connects is meant for its own programs
        cluster = cls(ray, address, settings)
        cluster._thread.start()
        try:
            await asyncio.wait_for(cluster._connected.wait(), settings.start_timeout_s)
        except TimeoutError:
            raise ClusterError(
                f"Ray at {address} did not answer within {settings.start_timeout_s:g} s; see whether it runs there (ray status), "
                "or raise ray.start_timeout_s"
            ) from None
        finally:
            if not cluster._connected.is_set():
                cluster._leave.set()
        if cluster._failure is not None:
            await asyncio.to_thread(cluster._thread.join)  # it leaves what it had of the cluster, before anybody connects again
            raise ClusterError(_refusal(ray, address, cluster._failure)) from None
        return cluster

    def _stay(self) -> None:
        try:
            _connect(self.ray, self._address, self._settings)
        except (Exception, SystemExit) as error:
            self._failure = error
            self._leave.set()
        with suppress(RuntimeError):  # the loop may be gone
            self._loop.call_soon_threadsafe(self._connected.set)
        self._leave.wait()
        with suppress(Exception):
            self.ray.shutdown()

    async def resources(self) -> dict[str, float]:
        """What all nodes offer together."""
        return dict(await asyncio.to_thread(self.ray.cluster_resources))

    async def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        self._leave.set()
        await asyncio.to_thread(self._thread.join)


def _connect(ray: Any, address: str, settings: RaySettings) -> None:
    quiet: dict[str, Any] = {"logging_level": "error", "log_to_driver": False, "configure_logging": False}
    if address != RAY:
        ray.init(address=address, **quiet)
        return
    cpus = max(1, math.ceil((settings.workers or min(_LOCAL_WORKERS, os.cpu_count() or 1)) * settings.cpus))
    # Ray says on standard output that a worker was lost, where a command may be writing JSON.
    ray._private.worker.print_to_stdstream = _said_nowhere
    ray.init(
        address="local",
        _node_ip_address="127.0.0.1",
        num_cpus=cpus,
        num_gpus=0,
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        **quiet,
    )


def _said_nowhere(*_: Any, **__: Any) -> None:
    """Do nothing."""


def _refusal(ray: Any, address: str, error: BaseException) -> str:
    """Why a cluster cannot be used, in one line. It names the versions here only where Ray says that they differ."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any("Starting Ray client server failed" in line for line in lines):
        return (
            f"Ray at {address} could not start a process for this client; end it there (ray stop) and start it with "
            "GRPC_ENABLE_FORK_SUPPORT=0 in its environment (docs/SCALE.md)"
        )
    shown = lines[-1:] if any(line.startswith("Traceback") for line in lines) else lines
    said = escape_control(" ".join(shown), 300) or type(error).__name__
    if "version" not in said.casefold():
        return f"Ray at {address} cannot be used: {said}"
    here = f"Ray {ray.__version__} with Python {platform.python_version()}"
    return f"Ray at {address} cannot be used: {said}. Here is {here}; the cluster needs the same versions of both"
