"""`suites`, `scripted`, `doctor` and the words for events: small verbs that look and do not measure."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfopt.endpoints import load_script, serve_scripted
from selfopt.errors import SelfoptError
from selfopt.loop import LoopEvent
from selfopt.policy import explain
from selfopt.records import AuditRecord, Decision
from selfopt.routing import render_line
from selfopt.suites import list_suites, load_suite, validate_suite

from .app import App

__all__ = [
    "audit_line",
    "decision_lines",
    "diagnose_installation",
    "serve_script",
    "suite_document",
    "suite_problems",
    "suite_summaries",
]


def audit_line(record: AuditRecord) -> str:
    """One audit record as a readable line."""
    return render_line(record).rstrip("\n")


def decision_lines(event: LoopEvent) -> list[str]:
    """The reasons of a decision in plain words; nothing for other events."""
    return explain(event.record) if isinstance(event.record, Decision) else []


def suite_summaries() -> list[dict[str, Any]]:
    """Name, phase, scope, title and number of prompts of each built-in suite."""
    rows = []
    for name in list_suites():
        suite = load_suite(name)
        rows.append(
            {"name": suite.name, "phase": suite.phase, "scope": suite.scope, "title": suite.title, "prompts": len(suite.prompts)}
        )
    return rows


def suite_document(app: App, name: str) -> dict[str, Any]:
    """A suite with its prompts; each prompt with the tools that it offers."""
    suite = app.suite(name)
    prompts = []
    for prompt in suite.prompts:
        body = prompt.model_dump(mode="json")
        body["tools"] = [tool.model_dump(mode="json") for tool in suite.tools_of(prompt)]
        prompts.append(body)
    return {
        "name": suite.name,
        "phase": suite.phase,
        "scope": suite.scope,
        "title": suite.title,
        "content_id": suite.content_id(),
        "prompts": prompts,
    }


def suite_problems(app: App, name: str) -> list[str]:
    """Problems of a suite; SuiteError when it cannot be loaded at all."""
    return validate_suite(app.suite(name))


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


async def diagnose_installation(app: App) -> list[dict[str, Any]]:
    """Checks with name, status (ok, note, FAIL) and detail. Nothing is loaded, generated or changed."""
    checks: list[dict[str, Any]] = []

    def add(name: str, status: str, detail: str) -> None:
        checks.append({"name": name, "status": status, "detail": detail})

    def guarded(name: str, look: Callable[[], str]) -> None:
        try:
            add(name, "ok", look())
        except SelfoptError as error:
            add(name, "FAIL", str(error))

    add("python", "ok", sys.version.split()[0])
    add(
        "home",
        "ok" if app.home.root.exists() else "note",
        f"{app.home.root}{'' if app.home.root.exists() else ' (made at the first measurement)'}",
    )
    guarded("ledger", lambda: _ledger(app))
    guarded("rules", lambda: f"version {app.enforcer.load(repair_pending=False).version} in force")
    guarded("audit trail", lambda: _audit(app))
    guarded("variants", lambda: f"{len(app.variants)} variants")
    guarded("suites", lambda: ", ".join(app.suite(app.settings.suite_of(p)).name for p in ("atomic", "extended")))
    add("engine", *_engine())
    for name, entry in sorted(app.catalogue.items()):
        pulled = app.store.path_of(name) is not None
        add(
            f"model {name}",
            "ok" if pulled else "note",
            "pulled" if pulled else f"not pulled; selfopt models pull {name} ({entry.size_bytes / 1e6:.0f} MB)",
        )
    for name, endpoint in sorted(app.settings.endpoints.items()):
        if endpoint.kind in ("embedded", "scripted"):
            continue
        config = app.settings.endpoint_config(name, app.environ)
        where = "local" if endpoint.local else "remote, used only with allow_remote or by name"
        key = (
            "key set"
            if config.api_key
            else ("no key" if not endpoint.api_key_env else f"no key ({endpoint.api_key_env} is not set)")
        )
        add(f"endpoint {name}", "ok" if config.api_key or endpoint.local else "note", f"{endpoint.base_url} ({where}; {key})")
    return checks


def _ledger(app: App) -> str:
    if not app.has_ledger:
        return "nothing measured yet"
    _ = app.ledger
    return str(app.home.ledger)


def _audit(app: App) -> str:
    if not app.home.audit_trail.exists():
        return "empty"
    report = app.enforcer.verify()
    if not report.ok:
        raise SelfoptError(f"does not verify: {report.reason}; see selfopt audit verify")
    return f"{report.n} records, verifies"


def _engine() -> tuple[str, str]:
    from importlib import metadata

    try:
        return "ok", f"xllamacpp {metadata.version('xllamacpp')}"
    except metadata.PackageNotFoundError:
        return "note", "xllamacpp is not installed; for local models: pip install 'selfopt[engine]'"
