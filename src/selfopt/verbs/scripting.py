"""`scripted`: serves a script of replies as if it were a model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from selfopt.scripted.script import load_script
from selfopt.scripted.server import serve_scripted


async def serve_script(path: Path, host: str, port: int, ready: Callable[[str, list[str]], None], *, serve: bool = True) -> None:
    """Serve a script until cancelled.

    Args:
        ready: gets the base URL, which is empty if the script is only checked, and the models.
        serve: False only checks the script.
    """
    script = load_script(path)
    names = sorted(script.models)
    if not serve:
        ready("", names)
        return
    server = await serve_scripted(script, host, port)
    try:
        ready(server.base_url, names)
        await asyncio.Event().wait()
    finally:
        await server.close()
