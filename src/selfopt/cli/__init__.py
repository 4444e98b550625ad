"""The command line: one file a command, loaded when it is called.

Exit codes: `exit_codes.py`.
"""

from .main import main

__all__ = ["main"]
