"""`doctor`: checks what this installation has and says how to get what it lacks."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

from selfopt.dialects.base_url import normalise_base_url
from selfopt.dialects.faults import shown_url
from selfopt.dialects.kinds import ENDPOINT_KINDS
from selfopt.errors import GateFailed, SelfoptError, SettingsError, StoreError
from selfopt.extensions import Registry
from selfopt.feedback import DETECTORS, load_feedback
from selfopt.home import NOT_MADE_HERE, ProcessLock, clear_temporaries, counted, escape_control
from selfopt.home.extras import install_command
from selfopt.loop.proposers import PROPOSERS
from selfopt.measure.attempt import status_of
from selfopt.policy import GATES
from selfopt.reading import FAMILIES, READERS
from selfopt.records import RefusedFigures
from selfopt.scripted.script import load_script
from selfopt.search import SEARCHERS
from selfopt.settings import EndpointSettings, default_config_file, settings_files
from selfopt.suites import IMPORTERS
from selfopt.wiring.app import App
from selfopt.wiring.evidence import for_rules
from selfopt.wiring.holding import holders
from selfopt.wiring.ledgers import blob_store
from selfopt.words.causes import cause_text

from .verifying import Part, verify_home

CONNECT_TIMEOUT_S = 1.0
FEW_BYTES = 1_000_000_000
MAX_ASKED = 50
SHOWN_PROBLEMS = 3
LOGPROBS = {True: "gives log probabilities", False: "has no log probabilities"}
THINKS = {True: "can think", False: "does not think"}
MAX_NAME = 100
MAX_DETAIL = 400
MAX_SAID = 200
# All registries that installed packages can add to.
REGISTRIES: tuple[Registry[Any], ...] = (FAMILIES, READERS, DETECTORS, ENDPOINT_KINDS, IMPORTERS, GATES, PROPOSERS, SEARCHERS)

Check = dict[str, Any]


def settings_in_use(app: App) -> list[str]:
    """List the files of the settings in use. Each overrides those before it."""
    files = settings_files(app.environ, app.cwd)
    if app.project is not None and app.project.state == "refused":
        files = [path for path in files if path == default_config_file(app.environ)]
    return [str(path) for path in files]


def _own_settings(app: App) -> Check:
    path = default_config_file(app.environ)
    return _check("own settings", "ok", f"{path}{'' if path.is_file() else ' (not there; selfopt config edit makes it)'}")


async def diagnose_installation(app: App) -> list[Check]:
    """Check the installation, the home and the endpoints.

    Loads no model, contacts no remote server and changes nothing, except that it removes the
    half-written files of killed writers, and tries the store that the setting `blobs` names.

    Returns:
        Checks with name, status (ok, note, FAIL), detail, and `exit_code` 100 where records do
        not verify.
    """
    checks = [
        _check("python", "ok", sys.version.split()[0]),
        _check(
            "settings",
            "ok",
            ", ".join(settings_in_use(app)) or "built-in defaults",
        ),
        _own_settings(app),
        *_project(app),
        _home(app),
        *(
            _check("home passed over", "note", f"{folder} {NOT_MADE_HERE}; if the folder is yours: selfopt trust {folder.parent}")
            for folder in app.passed_over
        ),
        _guarded("ledger file", lambda: _ledger(app)),
        *_blobs(app),
        *_records(app),
        _temporaries(app),
        _guarded("feedback", lambda: _feedback(app)),
        *_refusals(app),
        _lock(app),
        *_holders(app),
        _guarded("variants", lambda: f"{len(app.variants)} variants"),
        _guarded("reference suites", lambda: ", ".join(app.suite(app.settings.suite_of(p)).name for p in ("atomic", "extended"))),
        _guarded("names in settings", lambda: _names(app)),
        _engine(),
        _cache(app),
        *_models(app),
        *_extensions(),
    ]
    endpoints = [(n, e) for n, e in sorted(app.settings.endpoints.items()) if not e.traits.engine]
    return checks + await asyncio.gather(*(_endpoint(app, name, entry) for name, entry in endpoints))


def _check(name: str, status: str, detail: str) -> Check:
    return {"name": name, "status": status, "detail": detail}


def _guarded(name: str, look: Callable[[], str]) -> Check:
    try:
        return _check(name, "ok", look())
    except SelfoptError as error:
        return _check(name, "FAIL", str(error))


def _project(app: App) -> list[Check]:
    """Say which of the project's settings count, with one check for each ignored setting."""
    project = app.project
    if project is None:
        return []
    if project.state == "refused":
        return [_check("project", "FAIL", f"{escape_control(project.problem)}; its files are ignored until then")]
    folder = escape_control(str(project.folder))
    if project.state == "trusted":
        return [_check("project", "ok", f"{folder} is trusted: {counted(len(project.asked), 'setting')} of its files count")]
    ignored = project.ignored
    why = (
        f"{', '.join(project.changed)} changed since it was trusted"
        if project.changed
        else project.problem or "it is not trusted"
    )
    said = f"{len(project.asked) - len(ignored)} of {counted(len(project.asked), 'setting')} of its files count"
    if ignored:
        said += f"; to let all of them count: selfopt trust {folder}"
    checks = [_check("project", "note" if ignored or project.changed else "ok", f"{folder}: {escape_control(why)}; {said}")]
    checks += [_check("project asks, ignored", "note", f"{escape_control(str(a.file))}: {a.line}") for a in ignored[:MAX_ASKED]]
    if len(ignored) > MAX_ASKED:
        checks.append(_check("project asks, ignored", "note", f"and {len(ignored) - MAX_ASKED} more"))
    return checks


def _home(app: App) -> Check:
    switches = {
        "warm_up.enabled": app.settings.warm_up.enabled,
        "enforcement.enabled": app.settings.enforcement.enabled,
        "policy.extended_gate_enabled": app.settings.policy.extended_gate_enabled,
    }
    off = "" if all(switches.values()) else f"; switched off: {', '.join(name for name, on in switches.items() if not on)}"
    made = "" if app.home.root.exists() else " (made at the first measurement)"
    return _check("home", "note" if made or off else "ok", f"{app.home.root}{made}{off}")


def _ledger(app: App) -> str:
    if not app.has_ledger:
        return "nothing measured yet"
    place = str(getattr(app.kept_ledger, "place", app.home.ledger))  # the error says what to do
    return f"{place}: this user may read and add rules, as a gateway does, and no records" if for_rules(app) else place


def _blobs(app: App) -> list[Check]:
    """Write a small object where the ledger's texts go, and read it back."""
    if app.settings.blobs is None:
        return []
    with closing(blob_store(app)) as blobs:
        return [_guarded("blobs", lambda: f"long prompts and replies go to {blobs.check()}")]


def _names(app: App) -> str:
    """Resolve the models of aliases and fallbacks. Whether a server has them stays unchecked."""
    named = app.settings.fallbacks
    wanted = [app.resolve_model(name) for name in (*app.settings.models.aliases, *named.atomic, *named.extended)]
    return f"{len(wanted)} aliases and fallbacks"


def _records(app: App) -> list[Check]:
    """Return one check for each part of `audit verify`."""
    try:
        return [_part(part) for part in verify_home(app).parts]
    except SelfoptError as error:
        return [_check("audit trail", "FAIL", str(error))]


def _part(part: Part) -> Check:
    if part.ok:
        detail = "; ".join((f"{part.said}, verifies" if part.said != "empty" else part.said, *part.notes))
        return _check(part.name, "note" if part.notes else "ok", detail)
    shown = "; ".join(part.problems[:SHOWN_PROBLEMS])
    more = f"; and {len(part.problems) - SHOWN_PROBLEMS} more" if len(part.problems) > SHOWN_PROBLEMS else ""
    check = _check(part.name, "FAIL", f"does not verify: {shown}{more}; see selfopt audit verify")
    return {**check, "exit_code": GateFailed.exit_code}


def _temporaries(app: App) -> Check:
    cleared = clear_temporaries(app.home.root)
    told = f"{cleared} of killed writers removed" if cleared else "none"
    return _check("half-written files", "note" if cleared else "ok", told)


def _feedback(app: App) -> str:
    try:
        feedback = load_feedback(app.home.feedback)
    except FileNotFoundError:
        return "none yet; selfopt feedback writes it"
    return f"{len(feedback.recommendations)} recommendations of {feedback.generated_at}"


def _refusals(app: App) -> list[Check]:
    """Return one check for each model that its server refused when it was measured last."""
    try:
        found = load_feedback(app.home.feedback).findings
    except (FileNotFoundError, SelfoptError):
        return []  # the check of the feedback says so
    return [
        _check(
            escape_control(f"model {finding.model} {finding.phase}"[:MAX_NAME]),
            "note",
            escape_control(f'the server says "{figures.said[:MAX_SAID]}": {cause_text(figures.cause)}'),
        )
        for finding in found
        if isinstance(figures := finding.figures, RefusedFigures)
    ]


def _lock(app: App) -> Check:
    owner = ProcessLock(app.home.lock).owner()
    return _check("lock", "ok", "free") if owner is None else _check("lock", "note", f"held by {owner}")


def _holders(app: App) -> list[Check]:
    """Check who works under a ledger in a database, on which models and servers."""
    try:
        return [_check("held in the database", "note", str(holder)) for holder in holders(app)]
    except StoreError:
        return []  # the check of the ledger says so


def _engine() -> Check:
    try:
        return _check("engine", "ok", f"xllamacpp {metadata.version('xllamacpp')}; {LOGPROBS[True]}")
    except metadata.PackageNotFoundError:
        return _check("engine", "note", f"xllamacpp is not installed; for local models: {install_command('engine')}")


def _cache(app: App) -> Check:
    free = shutil.disk_usage(next(p for p in (app.store.root, *app.store.root.parents) if p.exists())).free
    return _check("model cache", "ok" if free > FEW_BYTES else "note", f"{app.store.root}, {free / 1e9:.1f} GB free")


def _models(app: App) -> list[Check]:
    try:
        return [
            _check(f"model {name}", "ok", "pulled")
            if app.store.path_of(name) is not None
            else _check(f"model {name}", "note", f"not pulled; selfopt models pull {name} ({entry.size_bytes / 1e6:.0f} MB)")
            for name, entry in sorted(app.catalogue.items())
        ]
    except SelfoptError as error:
        return [_check("models", "FAIL", str(error))]


def _extensions() -> list[Check]:
    """Check the extensions of installed packages. Escapes their names and errors."""
    return [
        _check(
            escape_control(f"{found.group} {found.name}"[:MAX_NAME]),
            "FAIL" if found.problem else "ok",
            escape_control(
                f"of {found.distribution} {found.version}{f' is left out: it {found.problem}' if found.problem else ''}"[
                    :MAX_DETAIL
                ]
            ),
        )
        for registry in REGISTRIES
        for found in registry.installed()
    ]


async def _endpoint(app: App, name: str, entry: EndpointSettings) -> Check:
    title = f"endpoint {name}"
    try:
        if entry.plays_here:
            if entry.script is None:
                raise SettingsError("neither script nor base_url; set one in selfopt.toml")
            return _check(title, "ok", f"{entry.script} (in process): {', '.join(sorted(load_script(entry.script).models))}")
        config = app.settings.endpoint_config(name, app.environ)
        unset = f"no key: {entry.api_key_env} is not set" if entry.api_key_env else "no key"
        key = "key set" if config.api_key else unset
        url = normalise_base_url(entry.base_url or "")
        via = f"; through the proxy {shown_url(config.proxy.get_secret_value())}" if config.proxy is not None else ""
        if not entry.is_local:
            told = await _given(app, name, entry)
            return _check(
                title, "ok" if config.api_key else "note", f"{shown_url(url)} (remote, not contacted; {key}{via}{told})"
            )
    except SelfoptError as error:
        return _check(title, "FAIL", str(error))
    if via:
        return _check(title, "note", f"{shown_url(url)} (local, not contacted; {key}{via})")
    if await answers(url):
        told = await _given(app, name, entry)
        return _check(title, "ok", f"{shown_url(url)} (local, something listens there; {key}{told})")
    return _check(title, "note", f"{shown_url(url)} (local, nothing listens there: start the server to use it; {key})")


async def _given(app: App, name: str, entry: EndpointSettings) -> str:
    """Say whether a server gives log probabilities, and whether its first model thinks; "" where nobody
    knows. Only a local one is asked.
    """
    names = await app.sender.installed(name) if entry.is_local else None
    status = None
    if names:
        model = f"{name}/{names[0]}"
        status = await status_of(app.sender.residency(model, asked=model), names[0])
    gives = False if entry.traits.logprobs is False else status.logprobs if status is not None else None
    told = f"; {LOGPROBS[gives]}" if gives is not None else ""
    if gives is not False and not entry.asks_logprobs:
        told = "; log probabilities are switched off"
    if names and status is not None and status.thinking is not None:
        told += f"; {escape_control(names[0][:MAX_NAME])} {THINKS[status.thinking]}"
    return told


async def answers(url: str) -> bool:
    """Say whether the server of this URL accepts a connection. Sends nothing."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
    except (OSError, TimeoutError, ValueError):
        return False
    writer.close()
    return True
