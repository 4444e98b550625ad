"""Warm-up in a separate process, so that nothing it leaves behind can affect the measurement."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import SecretStr

from selfopt.endpoints.factory import create_endpoint, create_residency
from selfopt.errors import EndpointError, EngineError, ModelStoreError, SelfoptError
from selfopt.records import (
    Blob,
    ChatRequest,
    Endpoint,
    EndpointConfig,
    Residency,
    WarmUp,
    WarmUpResult,
)
from selfopt.residency import WarmUpJob, run_job, warm_up, warm_up_separately

from .sending import Sending

# -P: nothing in the working folder can stand in for a module of the child.
COMMAND = (sys.executable, "-P", "-m", "selfopt.wiring.warm_up_child")


class WarmUpRunner:
    """Warms up for measurements, in this process or in a separate one as the policy says."""

    def __init__(self, enabled: bool) -> None:
        """Keep whether the settings enable warm-up."""
        self._enabled = enabled

    async def __call__(
        self,
        endpoint: Endpoint,
        residency: Residency,
        model: str,
        requests: Sequence[ChatRequest],
        policy: WarmUp,
        clock: Callable[[], float],
        /,
    ) -> tuple[WarmUpResult, list[Blob]]:
        """See `selfopt.residency.warm_up`."""
        if not self._enabled:
            return WarmUpResult(status="off", reason="switched off (warm_up.enabled = false)"), []
        if not policy.separate_process:
            return await warm_up(endpoint, residency, model, requests, policy, clock)
        if not isinstance(endpoint, Sending) or endpoint.plays_here:
            # Another process cannot reach a script that this one plays.
            result, blobs = await warm_up(endpoint, residency, model, requests, policy, clock)
            reason = f"in this process, where the endpoint lives. {result.reason}".strip()
            return result.model_copy(update={"reason": reason}), blobs
        load_ms: float | None = None
        try:
            if endpoint.is_embedded:
                # The engine stays a child of this process; only the requests come from the other one.
                load_ms = await residency.load(model, policy.load_timeout_s)
            config = await endpoint.config()
        except (EndpointError, EngineError, ModelStoreError) as error:
            return WarmUpResult(status="failed", reason=str(error)), []
        result, blobs = await warm_up_separately(
            COMMAND, WarmUpJob(parts=_parts(config), model=model, requests=tuple(requests), policy=policy)
        )
        if load_ms is not None and result.status == "complete":
            result = result.model_copy(update={"load_ms": load_ms})
        return result, blobs


def _parts(config: EndpointConfig) -> dict[str, Any]:
    secret = {"api_key": config.api_key, "proxy": config.proxy}
    given = {name: value.get_secret_value() for name, value in secret.items() if value is not None}
    return {"config": config.model_dump(mode="json"), **given}


def build(parts: dict[str, Any]) -> tuple[Endpoint, Residency]:
    """Build endpoint and residency in the child from what the parent sent."""
    config = EndpointConfig.model_validate(parts["config"])
    config = config.model_copy(update={name: SecretStr(parts[name]) for name in ("api_key", "proxy") if parts.get(name)})
    return create_endpoint(config), create_residency(config)


def main() -> None:
    """Run in the child: read a job from standard input and print its answer."""
    try:
        print(asyncio.run(run_job(sys.stdin.read(), build)))
    except SelfoptError as error:
        sys.exit(str(error))
