# SPDX-License-Identifier: Apache-2.0
"""The text of the kernels: one program, every header of ours put in its place.

One text, because compilers that cache by it must detect a change in any header.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_FOLDERS = (
    (_HERE / "_data" / "kernels", _HERE.parent / "descring_sim" / "_data" / "include"),  # a wheel
    (_HERE.parent / "kernels", _HERE.parents[1] / "host" / "include"),  # the source tree
)
_INCLUDE = re.compile(r'^#include "([^"]+)"[^\n]*$', re.MULTILINE)
PROGRAM = "worker.cu"


def folders() -> tuple[Path, ...]:
    """Where kernels and the headers of the contract are."""
    for found in _FOLDERS:
        if (found[0] / PROGRAM).exists():
            return found
    raise FileNotFoundError(f"no {PROGRAM} in {_FOLDERS[0][0]} or {_FOLDERS[1][0]}; reinstall")


def _find(name: str) -> Path:
    for folder in folders():
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"no {name} in {' or '.join(map(str, folders()))}")


@cache
def source(program: str = PROGRAM) -> str:
    """``program`` with every ``#include "..."`` replaced, once each, by the text it names."""
    seen: set[str] = set()

    def include(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in seen:
            return ""
        seen.add(name)
        text = _find(name).read_text(encoding="utf-8")
        return f'#line 1 "{name}"\n{_INCLUDE.sub(include, text)}'

    return _INCLUDE.sub(include, _find(program).read_text(encoding="utf-8"))
