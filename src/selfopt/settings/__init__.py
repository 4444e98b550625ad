"""selfopt.toml, environment and flags -> one validated, frozen `Settings`."""

from .endpoint import EndpointSettings
from .project import AskedSetting, Project
from .sources import LoadedSettings, default_config_file, load_settings, read_settings, settings_files
from .tree import PolicySettings, Settings

__all__ = [
    "AskedSetting",
    "EndpointSettings",
    "LoadedSettings",
    "PolicySettings",
    "Project",
    "Settings",
    "default_config_file",
    "load_settings",
    "read_settings",
    "settings_files",
]
