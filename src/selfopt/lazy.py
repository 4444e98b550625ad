"""Public names of a package whose files are loaded when a name is first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["at_first_use"]


def at_first_use(package: str, where: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package.

    where: the names, with spaces between them, by the module that has them: relative to the package, or a full name. No name may be
    that of a file of the package, which would take its place once the file is imported.
    """
    module_of = {name: module for module, names in where.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(module_of[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
