"""What acceptance tests share with those of the command line."""

from tests.cli.conftest import project

__all__ = ["project"]
