"""`config`: where the user's own settings are, what is in force, and a file to begin with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfopt.errors import StoreError
from selfopt.home import atomic_write_text, is_secret_name
from selfopt.settings import Settings, default_config_file, read_settings
from selfopt.wiring.app import App

from .doctor import settings_in_use

BEGINNING = """\
# Your own settings of selfopt. docs/EXECUTE_LOCALLY.md explains them, `selfopt config show --all` lists them all.
# Lines that begin with # have no effect.

# allow_remote = false                # may a local model's request fall back to a remote one?

# [models.aliases]
# small = "ollama/qwen2.5:3b"

# [endpoints.lab]                     # models are then called lab/NAME
# kind = "openai_compatible"
# base_url = "http://127.0.0.1:8000/v1"
# api_key_env = "LAB_API_KEY"

# [limits]
# timeout_s = 60.0
"""
HIDDEN = "[hidden]"
"""What is shown in the place of a secret."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class SettingsShown:
    """The settings in force.

    Attributes:
        path: the user's own file.
        exists: whether it is there.
        sources: the files that are read; later ones win.
        values: by their place, such as `limits.timeout_s`, as JSON values. Keys are hidden.
        other: the places whose value is not the built-in one.
    """

    path: Path
    exists: bool
    sources: tuple[str, ...]
    values: Mapping[str, Any]
    other: tuple[str, ...]

    def lines(self, *, everything: bool) -> list[str]:
        """The settings as lines of TOML."""
        return [f"{name} = {json.dumps(value)}" for name, value in self.values.items() if everything or name in self.other]


def own_file(environ: Mapping[str, str]) -> Path:
    """The user's own settings file, which need not exist."""
    return default_config_file(environ)


def show_settings(app: App) -> SettingsShown:
    """What is in force in this folder, and which files say so."""
    values, built_in = dict(_leaves(app.settings.model_dump(mode="json"))), dict(_leaves(Settings().model_dump(mode="json")))
    given = dict(_leaves(app.settings.model_dump(mode="json", exclude_defaults=True)))
    path = own_file(app.environ)
    return SettingsShown(
        path,
        path.is_file(),
        tuple(settings_in_use(app)),
        values,
        tuple(name for name, value in given.items() if name not in built_in or built_in[name] != value),
    )


def _leaves(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Every set value with its place, as TOML writes it."""
    for key, value in tree.items():
        place = before + (key if _BARE.fullmatch(key) else json.dumps(key))
        shown = _without_secrets(value) if key == "extra_body" else value
        if isinstance(shown, dict):
            yield from _leaves(shown, f"{place}.")
        elif shown is not None:
            yield place, shown


def _without_secrets(value: Any, *, below: bool = False) -> Any:
    """JSON of the user's own, with what stands below the name of a secret hidden."""
    if isinstance(value, dict):
        return {key: _without_secrets(inner, below=below or is_secret_name(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_secrets(inner, below=below) for inner in value]
    return HIDDEN if below and isinstance(value, str) else value


def begin_file(path: Path) -> bool:
    """Make a file of comments to begin with, unless there is one. Says whether it did.

    Raises:
        StoreError: it cannot be written.
    """
    if path.exists():
        return False
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write_text(path, BEGINNING)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be made: {error.strerror}; make its folder, or name another with SELFOPT_CONFIG"
        ) from error
    return True


def check_settings(environ: Mapping[str, str], cwd: Path) -> None:
    """Read the settings as every command does. Raises SettingsError where they are refused."""
    read_settings(environ, cwd)
