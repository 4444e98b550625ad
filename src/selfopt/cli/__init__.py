"""The command line: one file for each command, which is loaded when the command is called.

`exit_codes.py` defines the exit codes.
"""

from .main import main

__all__ = ["main"]
