"""Reads settings from variables: of the environment, of a `.env`, and of providers' own tools."""

from __future__ import annotations

import ipaddress
import json
import tomllib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from selfopt.dialects.kinds import ENDPOINT_KINDS
from selfopt.errors import SettingsError

from .dotenv import variables_of
from .endpoint import default_endpoints
from .tree import Settings

# Variables that selfopt reads itself; they are no settings.
PLAIN_VARIABLES = frozenset({"HOME", "CACHE", "CONFIG", "DOTENV"})
# Settings outside of tables: one word after SELFOPT_.
SCALARS = frozenset({"home", "ledger", "ledger_patience_s", "blobs", "allow_remote", "currency", "executor", "variants"})


def variables_of_settings() -> set[str]:
    """Lists the variables that set a field of a table, such as SELFOPT_LIMITS__TIMEOUT_S."""
    names: set[str] = set()
    for section, table in Settings.model_fields.items():
        inner = table.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names |= {f"SELFOPT_{section}__{key}".upper() for key in inner.model_fields}
    return names | {f"SELFOPT_{name}".upper() for name in SCALARS}


def from_environ(environ: Mapping[str, str], label: str) -> dict[str, Any]:
    """Makes a tree of settings from the `SELFOPT_SECTION__KEY` variables.

    Ignores a variable without `__` that names no setting: it belongs to a flag. Raises
    SettingsError for an unknown section, and where one variable sets a value and another a key
    below it.
    """
    tree: dict[str, Any] = {}
    for name in sorted(environ):
        if not name.startswith("SELFOPT_"):
            continue
        rest = name.removeprefix("SELFOPT_")
        parts = [p.lower() for p in rest.split("__")]
        if rest in PLAIN_VARIABLES or (len(parts) == 1 and parts[0] not in SCALARS):
            continue
        if parts[0] not in Settings.model_fields:
            raise SettingsError(f"{label}: {name} is not a setting; sections are {', '.join(sorted(Settings.model_fields))}")
        node = tree
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise SettingsError(
                    f"{label}: {name} goes below {part}, which another variable sets to a value; unset one of them"
                )
        node[parts[-1]] = _literal(environ[name])
    return tree


def from_dotenv(text: str, label: str) -> dict[str, Any]:
    """Makes a tree of settings from a `.env`. Ignores variables of other programs.

    Raises SettingsError where it sets a key, base URL, home, consent or flag, and for a line that
    names a variable of selfopt but cannot be read. The message never shows the value.
    """
    variables = variables_of(text, label)
    for name in sorted(variables):
        if _is_private(name):
            raise SettingsError(
                f"{label} sets {name}: a project's .env may not set keys, base URLs, homes or consents; "
                "export it in your shell instead, or set SELFOPT_DOTENV=off to ignore this file"
            )
        if name.startswith("SELFOPT_") and "__" not in name and name.removeprefix("SELFOPT_").lower() not in SCALARS:
            raise SettingsError(
                f"{label} sets {name}, which is not a setting; write SELFOPT_SECTION__KEY (flags are set in the shell's environment)"
            )
    return from_environ(variables, label)


def _is_private(name: str) -> bool:
    providers = {p.upper() for p in default_endpoints()}
    if name in {f"{p}_API_KEY" for p in providers} | {f"{p}_BASE_URL" for p in providers} | {"OLLAMA_HOST"}:
        return True
    plain = {f"SELFOPT_{rest}" for rest in PLAIN_VARIABLES}
    return name.upper() in plain | {"SELFOPT_ALLOW_REMOTE", "SELFOPT_LEDGER"} or name.upper().startswith("SELFOPT_ENDPOINTS__")


def _literal(text: str) -> Any:
    """Reads a list, a table or quoted text as TOML, or a table as JSON.

    Leaves other text to the setting's type, since a key may be all digits.
    """
    if not text.lstrip().startswith(("[", "{", '"', "'")):
        return text
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return _json_table(text)
    return parsed["value"] if len(parsed) == 1 else text


def _json_table(text: str) -> Any:
    """A table that is written as JSON, which is what other programs take in variables; else the text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) else text


def with_provider_variables(tree: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Moves endpoints to the servers that `<PROVIDER>_BASE_URL` and variables of kinds
    (OLLAMA_HOST) name.

    A moved endpoint loses its `api_key` and `local`, which were meant for the old server.
    """
    endpoints = dict(tree["endpoints"])
    for name, entry in endpoints.items():
        kind = ENDPOINT_KINDS.get(str(entry.get("kind"))) if isinstance(entry, dict) else None
        if kind is None or kind.serverless:
            continue
        url = environ.get(f"{name.upper()}_BASE_URL") or (kind.url_variable and environ.get(kind.url_variable))
        if url:
            whole = url if "://" in url else f"http://{url}" if kind.default_port is None else whole_url(url, kind.default_port)
            endpoints[name] = {**entry, "base_url": whole, "api_key": None, "local": None}
    return {**tree, "endpoints": endpoints}


def whole_url(text: str, default_port: int) -> str:
    """Returns a URL for an address as Ollama's own tools take it, without a scheme.

    Host or port may be missing.
    """
    host = text.strip().strip("'\"")
    try:
        host = f"[{ipaddress.IPv6Address(host)}]"
    except ValueError:
        host = f"127.0.0.1{host}" if host.startswith(":") else host
    try:
        port = urlsplit(f"http://{host}").port
    except ValueError:
        return f"http://{host}"
    if port is not None:
        return f"http://{host}"
    address, slash, path = host.partition("/")
    return f"http://{address}:{default_port}{slash}{path}"
