"""Merges files, environment and flags into one `Settings`.

Each source overrides the ones before it: built-in defaults, imported prices (a file beside the
user's own), the user's own file (`selfopt.toml` in
the user's configuration folder, or `SELFOPT_CONFIG`), the project's file (the nearest
`selfopt.toml` upwards), the `.env` beside it, the environment (`SELFOPT_SECTION__KEY`), flags.
`project.py` decides what of a project's files counts. A project's file or `.env` that sets a key,
base URL or consent is refused with a message that names the setting.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import ValidationError

from selfopt.errors import SettingsError
from selfopt.records import Record

from .explain import Source, explain, unknown_key
from .prices import imported_file, imported_values
from .project import (
    DOTENV_NAME,
    FILE_NAME,
    AskedSetting,
    Project,
    ProjectFile,
    State,
    digest_of,
    is_suite_file,
    judge,
    leaves,
    look_for_files,
    named_files,
    read_file,
    shown,
    trust_of,
    value_at,
    without_full_names,
)
from .tree import Settings
from .variables import from_dotenv, from_environ, with_provider_variables

PROJECT_ENDPOINT_KINDS = ("scripted", "embedded")
_TIED_TO_URL = ("api_key", "local")


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings, and where they differ because of a project's files.

    Attributes:
        settings: The settings in force.
        own: What would be in force without the project's files.
        project: What the project's files ask for; None without such files.
    """

    settings: Settings
    own: Settings
    project: Project | None


def default_config_file(environ: Mapping[str, str]) -> Path:
    """Returns the path of the user's own settings file, which need not exist."""
    explicit = environ.get("SELFOPT_CONFIG")
    return Path(explicit) if explicit else Path(platformdirs.user_config_dir("selfopt", appauthor=False)) / FILE_NAME


def load_settings(
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Returns the settings in force. The arguments are those of `read_settings`."""
    return read_settings(environ, cwd, flags).settings


def read_settings(
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    *,
    forgiving: bool = False,
    as_trusted: bool = False,
) -> LoadedSettings:
    """Reads and merges all sources.

    Args:
        flags: A tree like the file's, such as {"limits": {"timeout_s": 5}}. Values of None are
            ignored.
        forgiving: Ignore a project whose files cannot be used. Its state is then `refused`.
        as_trusted: Read the project's files as if the user trusted them.

    Raises:
        SettingsError: Names the file or variable, what it holds and what is allowed.
    """
    environ = os.environ if environ is None else environ
    cwd = Path.cwd() if cwd is None else cwd
    below, above = _own_sources(environ, flags)
    own = _validated([*below, *above], environ)
    try:
        project, sources = _project_sources(environ, cwd, _merged(below), [*below, *above], as_trusted=as_trusted)
        settings = _validated([*below, *sources, *above], environ) if sources else own
    except SettingsError as error:
        if not forgiving:
            raise
        return LoadedSettings(own, own, Project(cwd, (), "refused", problem=str(error)))
    if project is not None:
        tree = own.model_dump(mode="json")
        project = replace(project, asked=tuple(replace(a, in_force=shown(value_at(tree, a.place))) for a in project.asked))
    return LoadedSettings(settings, own, project)


def own_prices(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the prices of the user's own file and the imported ones, by model, as they are written.

    Raises SettingsError as `read_settings` does.
    """
    user = default_config_file(environ)
    found = []
    for path in (user, imported_file(user)):
        prices = _read_toml(path, read_file(path)).get("prices") if path.is_file() else None
        found.append(prices if isinstance(prices, dict) else {})
    return found[0], found[1]


def _own_sources(environ: Mapping[str, str], flags: Mapping[str, Any] | None) -> tuple[list[Source], list[Source]]:
    """Returns the user's own sources: those that a project's files override, and the others."""
    below = []
    user_file = default_config_file(environ)
    if user_file.is_file():
        below.append(Source(str(user_file), True, _read_toml(user_file, read_file(user_file)), user_file.parent))
    elif environ.get("SELFOPT_CONFIG"):
        raise SettingsError(f"SELFOPT_CONFIG names {user_file}, which is not a file; create it or unset the variable")
    imported = imported_file(user_file)
    if imported.is_file():
        read, by_hand = _read_toml(imported, read_file(imported)), below[0].values.get("prices") if below else None
        below.insert(0, Source(str(imported), True, imported_values(imported, read, by_hand), imported.parent))
    above = [Source("environment", True, from_environ(environ, "environment"))]
    if flags:
        above.append(Source("flags", True, _without_none(flags)))
    for source in (*below, *above):
        _check_keys(source)
    return below, above


def _project_sources(
    environ: Mapping[str, str], cwd: Path, before: Mapping[str, Any], own: list[Source], *, as_trusted: bool
) -> tuple[Project | None, list[Source]]:
    """Returns the project, and what of its files counts.

    Raises SettingsError when they set what no project may set, trusted or not.
    """
    with_dotenv = not _dotenv_is_off(environ)
    folder, paths = look_for_files(cwd, default_config_file(environ), with_dotenv=with_dotenv)
    if not paths:
        return None, []
    found = [ProjectFile(path, read_file(path)) for path in paths]
    trust = trust_of(folder, found, with_dotenv=with_dotenv)
    names = frozenset(name for source in own for name in (*_table(source, "endpoints"), *_table(source, "models", "aliases")))
    names |= {*Settings().endpoints, *Settings().models.aliases}
    sources: list[Source] = []
    asked: list[AskedSetting] = []
    for file in found:
        whole = _read_project_file(file)
        _check_trust(whole, default_config_file(environ))
        _check_keys(whole)
        values = _anchor(whole)
        if not as_trusted and not trust.holds:
            # Check ignored settings too, so that a mistake in a file is reported whether the folder is trusted or not.
            _validated([*own, replace(whole, values=without_full_names(values))], environ)
        counts, places = (values, None) if trust.holds or as_trusted else judge(values, before, names)
        sources.append(replace(whole, values=counts))
        asked += (AskedSetting(at, file.path, shown(value), "", places is None or at in places) for at, value in leaves(values))
    named = dict(trust.named or {}) if trust.holds else {}
    if trust.holds:
        # The files named here were hashed when the user agreed. A file without a hash from then cannot be used.
        named |= {path: named.get(path, "") for source in sources for path in named_files(source.values)}
    state: State = "trusted" if trust.holds or as_trusted else "untrusted" if trust.named is None else "changed"
    digests = {file.path.name: file.sha256 for file in found}
    if as_trusted:
        digests |= {str(path): digest_of(path) for source in sources for path in named_files(source.values)}
    project = Project(folder, tuple(paths), state, tuple(asked), trust.changed, trust.problem, named, digests)
    return project, [source for source in sources if source.values]


def _table(source: Source, *path: str) -> Mapping[str, Any]:
    found = value_at(source.values, path)
    return found if isinstance(found, Mapping) else {}


def _merged(sources: list[Source]) -> dict[str, Any]:
    merged = Settings().model_dump(mode="json")
    for source in sources:
        merged = _merge(merged, _anchor(source), whole_endpoints=not source.trusted)
    return merged


def _validated(sources: list[Source], environ: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(with_provider_variables(_merged(sources), environ))
    except ValidationError as error:
        raise SettingsError(explain(error, sources)) from None


def settings_files(environ: Mapping[str, str], cwd: Path) -> list[Path]:
    """Lists the files that `load_settings` reads in cwd. Each overrides the ones before it."""
    user = default_config_file(environ)
    found = look_for_files(cwd, user, with_dotenv=not _dotenv_is_off(environ))[1]
    return [*(path for path in (imported_file(user), user) if path.is_file()), *found]


def _dotenv_is_off(environ: Mapping[str, str]) -> bool:
    return environ.get("SELFOPT_DOTENV", "").lower() in ("off", "0", "false")


def _read_project_file(file: ProjectFile) -> Source:
    if file.path.name == DOTENV_NAME:
        values = from_dotenv(_decoded(file.path, file.content, "replace"), str(file.path))
    else:
        values = _read_toml(file.path, file.content)
    return Source(str(file.path), False, values, file.path.parent)


def _decoded(path: Path, content: bytes, errors: str = "strict") -> str:
    try:
        return content.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def _read_toml(path: Path, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(_decoded(path, content))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}; fix the file") from None
    except RecursionError:
        raise SettingsError(f"{path} is nested too deeply to be read; settings need three levels") from None


def _without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    inner = {key: _without_none(value) if isinstance(value, Mapping) else value for key, value in tree.items()}
    return {key: value for key, value in inner.items() if value is not None and (value or not isinstance(value, Mapping))}


def _check_trust(source: Source, own: Path) -> None:
    if source.trusted:
        return
    own_only = (
        "allow_remote",
        "home",
        "ledger",
        "ledger_patience_s",
        "blobs",
        "currency",
        "prices",
        "gateway",
        "serve",
        "executor",
        "ray",
    )
    private: list[str] = [name for name in own_only if name in source.values]
    private += [f"models.{name}" for name in ("catalogue", "embedding") if name in _table(source, "models")]
    if private:
        raise SettingsError(
            f"{source.label} sets {private[0]}, and a project's file may not; remove it there; your own settings are in {own}"
        )
    endpoints = source.values.get("endpoints", {})
    if not isinstance(endpoints, dict):
        raise SettingsError(f"{source.label}: endpoints must be a table of tables; write [endpoints.NAME]")
    for name, entry in endpoints.items():
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if kind not in PROJECT_ENDPOINT_KINDS:
            raise SettingsError(
                f"{source.label} defines endpoint {name!r} of kind {kind!r}: a project's file may define only "
                f"{' and '.join(PROJECT_ENDPOINT_KINDS)} endpoints; define it in your own settings, {own}"
            )
        for key in ("base_url", "api_key", "api_key_env", "proxy", "ray_resources"):
            if key in entry:
                raise SettingsError(
                    f"{source.label} sets endpoints.{name}.{key}: keys, base URLs and proxies are never read from a project's file; "
                    f"remove it there; your own settings are in {own}"
                )


def _check_keys(source: Source) -> None:
    """Raises SettingsError for an unknown key. It runs before the merge, to name the key's file."""
    for key, value in source.values.items():
        field = Settings.model_fields.get(key)
        if field is None:
            raise SettingsError(f"{source.label}: {unknown_key(key, Settings)}")
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Record) and isinstance(value, dict):
            for inner in value:
                if inner not in model.model_fields:
                    raise SettingsError(f"{source.label}: {unknown_key(f'{key}.{inner}', model)}")


def _anchor(source: Source) -> dict[str, Any]:
    """Makes the paths of a source absolute.

    Relative ones start from the file's folder, `~` is the user's own folder.
    """
    folder = source.folder
    if folder is None:
        return source.values

    def at(table: Any, key: str) -> Any:
        """Makes the path under this key absolute."""
        if not isinstance(table, dict) or not isinstance(table.get(key), str) or not table[key]:
            return table
        return {**table, key: str((folder / Path(table[key]).expanduser()).resolve())}

    values: dict[str, Any] = at(at(source.values, "variants"), "home")
    if "models" in values:
        values = {**values, "models": at(values["models"], "catalogue")}
    if isinstance(values.get("endpoints"), dict):
        values = {**values, "endpoints": {name: at(entry, "script") for name, entry in values["endpoints"].items()}}
    suites = values.get("suites")
    if isinstance(suites, dict):
        files = {k for k, v in suites.items() if is_suite_file(v)}
        values = {**values, "suites": {k: at(suites, k)[k] if k in files else v for k, v in suites.items()}}
    return values


def _merge(base: dict[str, Any], over: Mapping[str, Any], *, whole_endpoints: bool = False) -> dict[str, Any]:
    """Merges one tree over another.

    whole_endpoints: an endpoint replaces one of the same name, with its server and key.
    """
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        if not (isinstance(old, dict) and isinstance(value, Mapping)):
            out[key] = value
        elif key == "endpoints" and whole_endpoints:
            out[key] = {**old, **value}
        elif key == "endpoints":
            out[key] = {**old, **{name: _merge_endpoint(old.get(name), entry) for name, entry in value.items()}}
        else:
            out[key] = _merge(old, value)
    return out


def _merge_endpoint(old: Any, new: Any) -> Any:
    """Merges an endpoint over another of the same name.

    An endpoint of another kind replaces the old one. A new server drops the old one's `api_key` and
    `local`.
    """
    if not (isinstance(old, dict) and isinstance(new, Mapping)) or ("kind" in new and new["kind"] != old.get("kind")):
        return new
    moved = "base_url" in new and new["base_url"] != old.get("base_url")
    return {**{k: v for k, v in old.items() if not (moved and k in _TIED_TO_URL)}, **new}
