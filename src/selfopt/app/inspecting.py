"""`suites` and `scripted`: small verbs that look and do not measure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfopt.endpoints import load_script, serve_scripted
from selfopt.errors import SuiteError
from selfopt.suites import find_problems, list_suites

from .app import App

__all__ = ["serve_script", "suite_document", "suite_problems", "suite_summaries"]


def suite_summaries(app: App) -> list[dict[str, Any]]:
    """Name, phase, scope, title, number of prompts and source of each built-in suite and each of the home's folder.

    One that is not usable is listed with its `problem`, so that it does not hide the others.
    """
    rows: list[dict[str, Any]] = []
    built_in = list_suites()
    for name in list_suites(app.home.suites):
        source = "built in" if name in built_in else "home"
        try:
            suite = app.suite(name)
        except SuiteError as error:
            rows.append({"name": name, "source": source, "problem": str(error)})
            continue
        rows.append(
            {
                "name": suite.name,
                "phase": suite.phase,
                "scope": suite.scope,
                "title": suite.title,
                "prompts": len(suite.prompts),
                "source": source,
            }
        )
    return rows


def suite_document(app: App, name: str) -> dict[str, Any]:
    """A suite as other programs read it: `{name, phase, prompts: [{id, kind, split, tool_set, tools, messages, expected,
    reason}]}`. tools: the definitions that the prompt offers; of a message, what it does not have is left out."""
    suite = app.suite(name)
    prompts = []
    for prompt in suite.prompts:
        body = prompt.model_dump(mode="json", include={"id", "kind", "split", "tool_set", "expected", "reason"})
        tools = [tool.model_dump(mode="json") for tool in suite.tools_of(prompt)]
        messages = [
            {"role": m.role, "content": m.content, **m.model_dump(mode="json", exclude_defaults=True)} for m in prompt.messages
        ]
        expected, reason = body.pop("expected"), body.pop("reason")
        prompts.append({**body, "tools": tools, "messages": messages, "expected": expected, "reason": reason})
    return {"name": suite.name, "phase": suite.phase, "prompts": prompts}


def suite_problems(app: App, name: str) -> list[str]:
    """Every problem of a suite (a name or a file), empty when it can be used. SuiteError when there is nothing to look at."""
    return find_problems(name, app.home.suites)


async def serve_script(path: Path, host: str, port: int, ready: Callable[[str, list[str]], None], *, serve: bool = True) -> None:
    """Serve a script until cancelled; `ready` gets the base URL (empty when only checked) and the models."""
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
