"""Warms up in a separate process, so that nothing is left behind in the measuring process.

The parent starts a command and writes a `WarmUpJob` to its standard input. The child calls
`run_job` and writes a `WarmUpAnswer` to its standard output. Keys are in the job only, not in the
command line or the environment.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import Field, ValidationError

from selfopt.errors import UsageError
from selfopt.records import Blob, ChatRequest, Endpoint, Record, Residency, WarmUp, WarmUpResult

from .warm_up import MAX_CHATS, warm_up

MAX_ANSWER_BYTES = 200_000_000
START_UP_S = 30.0
_SECRET_ENDINGS = ("_API_KEY", "_TOKEN", "_SECRET")
log = logging.getLogger("selfopt.residency")


class WarmUpJob(Record):
    """The job of the child.

    Attributes:
        parts: what the child needs to make endpoint and residency, including keys.
        model: the server's name of the model.
        requests: see `warm_up`.
        policy: see `warm_up`.
    """

    parts: dict[str, Any] = Field(repr=False)
    model: str
    requests: tuple[ChatRequest, ...] = Field(min_length=1)
    policy: WarmUp


class WarmUpAnswer(Record):
    """The child's answer."""

    result: WarmUpResult
    blobs: tuple[Blob, ...] = ()


async def run_job(text: str, build: Callable[[dict[str, Any]], tuple[Endpoint, Residency]]) -> str:
    """Do a job, in the child.

    Args:
        text: the job as JSON.
        build: makes endpoint and residency from the job's parts.

    Returns:
        The answer as JSON.

    Raises:
        UsageError: the text is not a job.
    """
    try:
        job = WarmUpJob.model_validate_json(text)
    except ValidationError as error:
        raise UsageError(
            f"standard input is not a warm-up job ({error.error_count()} problems); this command is for internal use"
        ) from None
    endpoint, residency = build(job.parts)
    try:
        result, blobs = await warm_up(endpoint, residency, job.model, job.requests, job.policy)
    finally:
        await endpoint.close()
    return WarmUpAnswer(result=result, blobs=tuple(blobs)).model_dump_json()


async def warm_up_separately(command: Sequence[str], job: WarmUpJob) -> tuple[WarmUpResult, list[Blob]]:
    """Run `command`, give it the job, and read its answer, in the parent.

    Errors of the child do not raise: the result has the status "failed" and says why. Cancelling
    kills the child. So does a timeout, which is the sum of the job's own time limits.
    """
    if not job.policy.enabled:
        return WarmUpResult(status="off"), []
    environment = {k: v for k, v in os.environ.items() if not k.endswith(_SECRET_ENDINGS)}
    pipe = asyncio.subprocess.PIPE
    try:
        child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
    except OSError as error:
        return _failed(f"cannot start {command[0]}: {error.strerror or error}"), []
    try:
        async with asyncio.timeout(_limit_s(job)):
            output, errors = await _converse(child, job.model_dump_json().encode())
            status = await child.wait()
    except TimeoutError:
        return _failed(f"separate process did not answer within {_limit_s(job):g} s"), []
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if status != 0:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return _failed(f"separate process ended with status {status}: {ascii(last)[1:300]}"), []
    try:
        answer = WarmUpAnswer.model_validate_json(output)
    except ValidationError:
        return _failed("separate process wrote no answer"), []
    if answer.result.status == "complete":
        log.info("Warm-up complete: %s (in a separate process)", job.model)
    return answer.result, list(answer.blobs)


def _limit_s(job: WarmUpJob) -> float:
    chat_s = max(job.policy.load_timeout_s, *(request.timeout_s for request in job.requests))
    return START_UP_S + 2 * job.policy.load_timeout_s + job.policy.prompt_timeout_s + (MAX_CHATS - 1 + len(job.requests)) * chat_s


async def _converse(child: asyncio.subprocess.Process, job: bytes) -> tuple[bytes, bytes]:
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    reading = asyncio.gather(_read(child.stdout), _read(child.stderr))
    try:
        child.stdin.write(job)
        await child.stdin.drain()
        child.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it ended without reading; its status and its last line say why
    output, errors = await reading
    return output, errors


async def _read(stream: asyncio.StreamReader) -> bytes:
    """Read to the end, but keep only about MAX_ANSWER_BYTES."""
    kept = bytearray()
    while chunk := await stream.read(1 << 16):
        if len(kept) < MAX_ANSWER_BYTES:
            kept += chunk
    return bytes(kept)


def _failed(reason: str) -> WarmUpResult:
    log.warning("Warm-up failed: %s", reason)
    return WarmUpResult(status="failed", reason=reason)
