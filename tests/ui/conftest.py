"""The project of the command line's tests serves here too."""

from tests.cli.conftest import project

__all__ = ["project"]
