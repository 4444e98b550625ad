"""An open home: what every verb works on, and every door opens first."""

from __future__ import annotations

from selfopt.settings import Settings
from selfopt.settings.variables import variables_of_settings
from selfopt.wiring.app import App

__all__ = ["App", "Settings", "variables_of_settings"]
