"""selfopt.toml, environment and flags -> one validated, frozen `Settings`."""

from .database import check_database_url
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
    "check_database_url",
    "default_config_file",
    "load_settings",
    "read_settings",
    "settings_files",
]
