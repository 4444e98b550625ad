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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import ValidationError

from selfopt.errors import SettingsError
from selfopt.records import Record

from .tree import Settings, default_endpoints

__all__ = ["default_config_file", "load_settings", "settings_files"]

PROJECT_ENDPOINT_KINDS = ("scripted", "embedded")
FILE_NAME = "selfopt.toml"
# Read by the tool itself, not part of the settings tree.
PLAIN_VARIABLES = frozenset({"HOME", "CACHE", "CONFIG", "DOTENV"})


@dataclass(frozen=True, slots=True)
class _Source:
    label: str
    trusted: bool
    values: dict[str, Any]
    folder: Path | None = None


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
    sources: list[_Source] = []
    user_file = default_config_file(environ)
    if user_file.is_file():
        sources.append(_Source(str(user_file), True, _read_toml(user_file), user_file.parent))
    elif environ.get("SELFOPT_CONFIG"):
        raise SettingsError(f"SELFOPT_CONFIG names {user_file}, which is no file; create it or unset the variable")
    project_file = _nearest(cwd, FILE_NAME)
    if project_file is not None and project_file.resolve() != user_file.resolve():
        sources.append(_Source(str(project_file), False, _read_toml(project_file), project_file.parent))
    dotenv = _read_dotenv(cwd, environ)
    if dotenv is not None:
        sources.append(dotenv)
    sources.append(_Source("environment", True, _from_environ(environ, "environment")))
    if flags:
        sources.append(_Source("flags", True, _without_none(flags)))
    merged = Settings().model_dump(mode="json")
    for source in sources:
        _check_trust(source)
        _check_keys(source)
        merged = _merge(merged, _anchor(source))
    try:
        settings = Settings.model_validate(_with_provider_variables(merged, environ))
    except ValidationError as error:
        raise SettingsError(_explain(error, sources)) from None
    return settings


def settings_files(environ: Mapping[str, str], cwd: Path) -> list[Path]:
    """The files that `load_settings` reads there, each overriding the ones before it."""
    user, project, dotenv = default_config_file(environ), _nearest(cwd, FILE_NAME), cwd / ".env"
    found = [user] if user.is_file() else []
    if project is not None and project.resolve() != user.resolve():
        found.append(project)
    return [*found, dotenv] if dotenv.is_file() and not _dotenv_is_off(environ) else found


def _dotenv_is_off(environ: Mapping[str, str]) -> bool:
    return environ.get("SELFOPT_DOTENV", "").lower() in ("off", "0", "false")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes()
        if len(text) > 1_000_000:
            raise SettingsError(f"{path} has {len(text)} bytes, at most 1,000,000 are read; shorten it")
        return tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no valid TOML: {error}; fix the file") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; check its permissions") from None


def _nearest(cwd: Path, name: str) -> Path | None:
    for folder in (cwd, *cwd.parents):
        if (folder / name).is_file():
            return folder / name
    return None


def _read_dotenv(cwd: Path, environ: Mapping[str, str]) -> _Source | None:
    path = cwd / ".env"
    if _dotenv_is_off(environ) or not path.is_file():
        return None
    variables: dict[str, str] = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            variables[name.strip()] = value.strip().strip("'\"")
    for name in sorted(variables):
        if _is_private_variable(name):
            raise SettingsError(
                f"{path} sets {name}: a project's .env may not set keys, base URLs, homes or consents; "
                "export it in your shell instead, or set SELFOPT_DOTENV=off to ignore this file"
            )
    return _Source(str(path), False, _from_environ(variables, str(path)))


def _is_private_variable(name: str) -> bool:
    providers = {p.upper() for p in default_endpoints()}
    if name in {f"{p}_API_KEY" for p in providers} | {f"{p}_BASE_URL" for p in providers} | {"OLLAMA_HOST"}:
        return True
    return name in {
        "SELFOPT_HOME",
        "SELFOPT_CONFIG",
        "SELFOPT_CACHE",
        "SELFOPT_ALLOW_REMOTE",
        "SELFOPT_DOTENV",
    } or name.startswith("SELFOPT_ENDPOINTS__")


def _from_environ(environ: Mapping[str, str], label: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    scalars = {n for n, f in Settings.model_fields.items() if not _is_section(n)}
    for name in sorted(environ):
        if not name.startswith("SELFOPT_"):
            continue
        rest = name.removeprefix("SELFOPT_")
        if rest in PLAIN_VARIABLES:
            continue
        parts = [p.lower() for p in rest.split("__")]
        if len(parts) == 1 and parts[0] not in scalars:
            continue  # a flag's variable, read by the command line
        if parts[0] not in Settings.model_fields:
            raise SettingsError(f"{label}: {name} is no setting; sections are {', '.join(sorted(Settings.model_fields))}")
        node = tree
        for part in parts[:-1]:
            node = node.setdefault(part, {})
        node[parts[-1]] = _literal(environ[name])
    return tree


def _is_section(name: str) -> bool:
    return name not in {"home", "allow_remote", "variants"}


def _literal(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


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


def _check_trust(source: _Source) -> None:
    if source.trusted:
        return
    for private in ("allow_remote", "home", "prices"):
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


def _check_keys(source: _Source) -> None:
    """Unknown keys, named with their file, before the merge hides where they came from."""
    for key, value in source.values.items():
        field = Settings.model_fields.get(key)
        if field is None:
            raise SettingsError(
                f"{source.label}: unknown setting {key!r}; allowed are {', '.join(sorted(Settings.model_fields))}"
            )
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Record) and isinstance(value, dict):
            for inner in value:
                if inner not in model.model_fields:
                    allowed = ", ".join(sorted(model.model_fields))
                    raise SettingsError(f"{source.label}: unknown setting {key}.{inner}; allowed in [{key}] are {allowed}")


def _anchor(source: _Source) -> dict[str, Any]:
    """Relative paths in a file are meant from the file's folder."""
    if source.folder is None:
        return source.values
    values = dict(source.values)
    folder = source.folder
    if isinstance(values.get("variants"), str):
        values["variants"] = str((folder / values["variants"]).resolve())
    endpoints = values.get("endpoints")
    if isinstance(endpoints, dict):
        values["endpoints"] = {
            n: (
                {**e, "script": str((folder / e["script"]).resolve())}
                if isinstance(e, dict) and isinstance(e.get("script"), str)
                else e
            )
            for n, e in endpoints.items()
        }
    suites = values.get("suites")
    if isinstance(suites, dict):
        values["suites"] = {
            k: (str((folder / v).resolve()) if isinstance(v, str) and v.endswith((".yaml", ".yml")) else v)
            for k, v in suites.items()
        }
    return values


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        replaces_kind = (
            isinstance(value, Mapping) and isinstance(old, dict) and "kind" in value and value["kind"] != old.get("kind")
        )
        out[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) and not replaces_kind else value
    return out


def _with_provider_variables(tree: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """`<PROVIDER>_BASE_URL` and OLLAMA_HOST move an endpoint; a moved endpoint keeps only the key of the same source."""
    endpoints = dict(tree["endpoints"])
    for name, entry in endpoints.items():
        if not isinstance(entry, dict) or entry.get("kind") in PROJECT_ENDPOINT_KINDS:
            continue
        url = environ.get(f"{name.upper()}_BASE_URL")
        if url is None and entry.get("kind") == "ollama":
            url = environ.get("OLLAMA_HOST")
        if url:
            endpoints[name] = {**entry, "base_url": url if "://" in url else f"http://{url}", "api_key": None}
    return {**tree, "endpoints": endpoints}


def _explain(error: ValidationError, sources: list[_Source]) -> str:
    first = error.errors()[0]
    path = ".".join(str(p) for p in first["loc"])
    got = first.get("input")
    shown = f" (got {got!r})" if isinstance(got, str | int | float | bool) and "key" not in path else ""
    where = next((s.label for s in reversed(sources) if _has(s.values, first["loc"])), "settings")
    more = f"; and {error.error_count() - 1} more" if error.error_count() > 1 else ""
    return f"{where}: {path}: {first['msg']}{shown}{more}"


def _has(tree: Any, path: tuple[int | str, ...]) -> bool:
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True
