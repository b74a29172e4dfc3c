"""From an input that goes wrong to a smaller one that goes wrong in the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .case import Case


def shrunk(case: Case, still: Callable[[Case], bool], tries: int = 400) -> Case:
    """Take files, and parts of files, away for as long as `still` holds, in at most so many tries."""
    left = tries

    def holds(smaller: Case) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and still(smaller)

    for name in list(case.files):
        smaller = replace(case, files={other: content for other, content in case.files.items() if other != name})
        if smaller.files and name != case.path and holds(smaller):
            case = smaller
    for name, content in case.files.items():
        if not isinstance(content, bytes):
            continue
        size = len(content) // 2
        while size and left > 0:
            at = 0
            while at < len(content) and left > 0:
                shorter = content[:at] + content[at + size :]
                smaller = replace(case, files={**case.files, name: shorter})
                if holds(smaller):
                    case, content = smaller, shorter
                else:
                    at += size
            size //= 2
    return case
