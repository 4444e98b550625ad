"""Says how a package that an export needs gets here."""

from __future__ import annotations

import importlib
from typing import Any

from selfopt.errors import UsageError
from selfopt.home.extras import extra_needed


def required(module: str, extra: str, what: str) -> Any:
    """Imports a module of an extra.

    Args:
        what: what needs it, at the beginning of the message.

    Raises:
        UsageError: it is not installed, or does not fit this Python.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == package:
            raise UsageError(f"{what} needs {extra_needed(extra)}") from None
        raise UsageError(f"{what} needs the package {package}, which cannot be loaded here: {error!s:.200}") from None
