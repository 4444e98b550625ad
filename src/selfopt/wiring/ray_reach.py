"""Whether the head of a Ray cluster can be reached. Ray itself takes half a minute to say that it cannot, and not why."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selfopt.errors import ClusterError

_WAIT_S = 10.0
# A question that changes nothing. Ray's proxy answers it itself, after it has looked at the token.
_QUESTION = "/ray.rpc.RayletDriver/KVExists"


def token_of(environ: Mapping[str, str], home: Path) -> tuple[str | None, str]:
    """This user's token for Ray, as Ray finds it, and where it is from. None: there is none."""
    if environ.get("RAY_AUTH_TOKEN"):
        return environ["RAY_AUTH_TOKEN"].strip(), "RAY_AUTH_TOKEN"
    path = Path(environ.get("RAY_AUTH_TOKEN_PATH") or home / ".ray" / "auth_token")
    try:
        return path.read_text("utf-8").strip() or None, str(path)
    except (OSError, UnicodeError):
        return None, str(path)


async def require_reachable(address: str) -> None:
    """Raise ClusterError where nothing listens at an address, something else does, or it does not take this user's token."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 0
    try:
        async with asyncio.timeout(_WAIT_S):
            _reader, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError) as error:
        why = (
            "no answer"
            if isinstance(error, TimeoutError)
            else os.strerror(error.errno)
            if error.errno and error.errno > 0
            else error.strerror or type(error).__name__
        )
        raise ClusterError(
            f"nothing can be reached at {host}:{port} ({why}); start Ray there with: "
            f"ray start --head --ray-client-server-port={port} (docs/SCALE.md)"
        ) from None
    if os.environ.get("RAY_USE_TLS", "0").casefold() not in ("", "0", "false"):
        return  # its certificates are Ray's business
    code = await asyncio.to_thread(_asked, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    if code == "UNAUTHENTICATED":
        token, source = token_of(os.environ, Path.home())
        what = f"does not take the token in {source}" if token else "wants a token, and this user has none"
        raise ClusterError(
            f"Ray at {address} {what}: copy ~/.ray/auth_token from the head of the cluster to this machine, or set RAY_AUTH_TOKEN"
        )
    if code in ("UNAVAILABLE", "UNIMPLEMENTED", "DEADLINE_EXCEEDED"):
        raise ClusterError(
            f"what listens at {host}:{port} does not answer as a server of the Ray Client does; "
            "name the port that `ray start` was given as --ray-client-server-port (10001 by default)"
        )


def _asked(target: str) -> str:
    """The status with which a question is answered, by its name in gRPC; "" for an answer."""
    import grpc  # type: ignore[import-not-found, import-untyped, unused-ignore]

    token, _ = token_of(os.environ, Path.home())
    about: list[tuple[str, Any]] = [("client_id", "0" * 32), *([("authorization", f"Bearer {token}")] if token else [])]
    with grpc.insecure_channel(target) as channel:
        try:
            channel.unary_unary(_QUESTION)(b"", metadata=about, timeout=_WAIT_S)
        except grpc.RpcError as error:
            return str(error.code().name)  # type: ignore[attr-defined, unused-ignore]
    return ""
