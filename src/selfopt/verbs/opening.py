"""What opens a home: every other verb works on the `App` that it gives."""

from __future__ import annotations

from selfopt.settings import Settings
from selfopt.settings.variables import variables_of_settings
from selfopt.wiring.app import App

__all__ = ["App", "Settings", "variables_of_settings"]
