"""Files, environment and flags, merged into one `Settings`.

Sources, each overriding the ones before it: built-in defaults, the user's own file (`selfopt.toml` in the user's
configuration folder, or `SELFOPT_CONFIG`), the project's file (the nearest `selfopt.toml` upwards), `.env` beside it, the
environment (`SELFOPT_SECTION__KEY`), flags. Keys, base URLs and consents are the user's own: a project's file or `.env`
that sets one is refused by name.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import ValidationError

from selfopt.errors import SettingsError
from selfopt.records import Record

from .explain import Source, explain, unknown_key
from .tree import Settings
from .variables import from_dotenv, from_environ, with_provider_variables

__all__ = ["default_config_file", "load_settings", "settings_files"]

PROJECT_ENDPOINT_KINDS = ("scripted", "embedded")
FILE_NAME = "selfopt.toml"
MAX_BYTES = 1_000_000
_TIED_TO_URL = ("api_key", "local")


def default_config_file(environ: Mapping[str, str]) -> Path:
    """The user's own settings file; it need not exist."""
    explicit = environ.get("SELFOPT_CONFIG")
    return Path(explicit) if explicit else Path(platformdirs.user_config_dir("selfopt", appauthor=False)) / FILE_NAME


def load_settings(
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Read and merge all sources. SettingsError names the file or variable, what it holds and what is allowed.

    flags: a tree like the file's, for example {"limits": {"timeout_s": 5}}; None values are passed over.
    """
    environ = os.environ if environ is None else environ
    cwd = Path.cwd() if cwd is None else cwd
    sources: list[Source] = []
    user_file = default_config_file(environ)
    if user_file.is_file():
        sources.append(Source(str(user_file), True, _read_toml(user_file), user_file.parent))
    elif environ.get("SELFOPT_CONFIG"):
        raise SettingsError(f"SELFOPT_CONFIG names {user_file}, which is no file; create it or unset the variable")
    project_file = _nearest(cwd, FILE_NAME)
    if project_file is not None and project_file.resolve() != user_file.resolve():
        sources.append(Source(str(project_file), False, _read_toml(project_file), project_file.parent))
    dotenv = _read_dotenv(project_file.parent if project_file is not None else cwd, environ)
    if dotenv is not None:
        sources.append(dotenv)
    sources.append(Source("environment", True, from_environ(environ, "environment")))
    if flags:
        sources.append(Source("flags", True, _without_none(flags)))
    merged = Settings().model_dump(mode="json")
    for source in sources:
        _check_trust(source)
        _check_keys(source)
        merged = _merge(merged, _anchor(source))
    try:
        settings = Settings.model_validate(with_provider_variables(merged, environ, PROJECT_ENDPOINT_KINDS))
    except ValidationError as error:
        raise SettingsError(explain(error, sources)) from None
    return settings


def settings_files(environ: Mapping[str, str], cwd: Path) -> list[Path]:
    """The files that `load_settings` reads there, each overriding the ones before it."""
    user, project = default_config_file(environ), _nearest(cwd, FILE_NAME)
    dotenv = (project.parent if project is not None else cwd) / ".env"
    found = [user] if user.is_file() else []
    if project is not None and project.resolve() != user.resolve():
        found.append(project)
    return [*found, dotenv] if dotenv.is_file() and not _dotenv_is_off(environ) else found


def _dotenv_is_off(environ: Mapping[str, str]) -> bool:
    return environ.get("SELFOPT_DOTENV", "").lower() in ("off", "0", "false")


def _read_text(path: Path, errors: str = "strict") -> str:
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; check its permissions") from None
    if len(content) > MAX_BYTES:
        raise SettingsError(f"{path} has {len(content)} bytes, at most {MAX_BYTES} are read; shorten it")
    return text


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no valid TOML: {error}; fix the file") from None
    except RecursionError:
        raise SettingsError(f"{path} is nested too deeply to be read; settings need three levels") from None


def _nearest(cwd: Path, name: str) -> Path | None:
    for folder in (cwd, *cwd.parents):
        if (folder / name).is_file():
            return folder / name
    return None


def _read_dotenv(folder: Path, environ: Mapping[str, str]) -> Source | None:
    path = folder / ".env"
    if _dotenv_is_off(environ) or not path.is_file():
        return None
    return Source(str(path), False, from_dotenv(_read_text(path, "replace"), str(path)), folder)


def _without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            inner = _without_none(value)
            if inner:
                out[key] = inner
        elif value is not None:
            out[key] = value
    return out


def _check_trust(source: Source) -> None:
    if source.trusted:
        return
    for private in ("allow_remote", "home", "prices", "gateway"):
        if private in source.values:
            raise SettingsError(
                f"{source.label} sets {private}: a project's file may not; set it in your own settings or environment"
            )
    models = source.values.get("models")
    if isinstance(models, dict) and "catalogue" in models:
        raise SettingsError(f"{source.label} sets models.catalogue: a project's file may not; set it in your own settings")
    endpoints = source.values.get("endpoints", {})
    if not isinstance(endpoints, dict):
        raise SettingsError(f"{source.label}: endpoints must be a table of tables; write [endpoints.NAME]")
    for name, entry in endpoints.items():
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if kind not in PROJECT_ENDPOINT_KINDS:
            raise SettingsError(
                f"{source.label} defines endpoint {name!r} of kind {kind!r}: a project's file may define only "
                f"{' and '.join(PROJECT_ENDPOINT_KINDS)} endpoints; define it in your own settings"
            )
        for private in ("base_url", "api_key", "api_key_env"):
            if private in entry:
                raise SettingsError(
                    f"{source.label} sets endpoints.{name}.{private}: keys and base URLs are never read from a project's file; "
                    "set it in your own settings or environment"
                )


def _check_keys(source: Source) -> None:
    """Unknown keys, named with their file, before the merge hides where they came from."""
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
    """Relative paths in a file are meant from the file's folder; `~` is the user's own."""
    folder = source.folder
    if folder is None:
        return source.values

    def at(table: Any, key: str) -> Any:
        """The table with the path under this key made whole."""
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
        files = {k for k, v in suites.items() if isinstance(v, str) and v.endswith((".yaml", ".yml", ".json"))}
        values = {**values, "suites": {k: at(suites, k)[k] if k in files else v for k, v in suites.items()}}
    return values


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        if not (isinstance(old, dict) and isinstance(value, Mapping)):
            out[key] = value
        elif key == "endpoints":
            out[key] = {**old, **{name: _merge_endpoint(old.get(name), entry) for name, entry in value.items()}}
        else:
            out[key] = _merge(old, value)
    return out


def _merge_endpoint(old: Any, new: Any) -> Any:
    """One endpoint over another of its name. Of another kind, it is a new one; with another server, the key that was stored
    for the old one does not go along, nor that it is local."""
    if not (isinstance(old, dict) and isinstance(new, Mapping)) or ("kind" in new and new["kind"] != old.get("kind")):
        return new
    moved = "base_url" in new and new["base_url"] != old.get("base_url")
    return {**{k: v for k, v in old.items() if not (moved and k in _TIED_TO_URL)}, **new}
