"""selfopt.toml, environment and flags -> one validated, frozen `Settings`."""

from .sources import default_config_file, load_settings, settings_files
from .tree import EndpointSettings, PolicySettings, Settings

__all__ = ["EndpointSettings", "PolicySettings", "Settings", "default_config_file", "load_settings", "settings_files"]
