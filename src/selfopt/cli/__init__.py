"""The command line: one file a command, loaded when it is called.

Exit codes: 0 done; 1 error; 2 usage; 100 a gate or a test verdict says no; 130 interrupted.
"""

from .main import main

__all__ = ["main"]
