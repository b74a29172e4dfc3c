"""Whether a file is still the one that was opened: nobody may write to it while it is read."""

from __future__ import annotations

import os
from typing import NamedTuple

from ...foreign import named


class Seen(NamedTuple):
    """What a file was when it was first looked at."""

    size: int
    changed: int  # nanoseconds

    @classmethod
    def of(cls, stat: os.stat_result) -> Seen:
        """Return it of what the system says."""
        return cls(stat.st_size, stat.st_mtime_ns)

    def check(self, where: str, path: str, now: os.stat_result) -> None:
        """Raise ValueError if the file is another by now."""
        if (found := Seen.of(now)) == self:
            return
        change = f"{found.size:,} bytes instead of {self.size:,}" if found.size != self.size else "a later change"
        raise ValueError(
            f"{where}: {named(path)} must stay as it is while it is read, got {change}; put a new file in its place "
            "instead of writing into it, and begin again"
        )
