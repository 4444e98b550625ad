"""What a limit on output leaves freer than a tool's schema."""

from __future__ import annotations

from typing import Literal

from .base import Record

FreeReason = Literal["keyword", "type", "reference", "endless", "contradiction", "depth", "size", "no_schema"]
"""Why a part of a schema is left free.

`keyword`: no limit can say what this keyword says. `type`: no JSON type has this name. `reference`:
leads nowhere in the schema. `endless`: a schema that is only itself. `contradiction`: no value fits.
`depth`, `size`: more than a limit may hold. `no_schema`: neither an object nor true or false.
"""


class LeftFree(Record):
    """One part of a tool's schema that a limit leaves free.

    Attributes:
        tool: the name of the tool.
        where: the place in the arguments, such as `filters[].day`; "" for all of them.
        why: the reason.
        keyword: the keyword, type or reference that it is about; "" if there is none.
    """

    tool: str
    where: str
    why: FreeReason
    keyword: str = ""
