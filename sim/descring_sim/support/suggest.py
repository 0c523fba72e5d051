# SPDX-License-Identifier: Apache-2.0
"""Names that look like a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(text: str, known: Iterable[str]) -> list[str]:
    """Return up to five of ``known`` that look like ``text``, or the first five."""
    names = sorted(set(known))
    by_short_name = {name.rsplit(".", maxsplit=1)[-1]: name for name in names}
    close = difflib.get_close_matches(text, [*names, *by_short_name], n=5, cutoff=0.4)
    return list(dict.fromkeys(by_short_name.get(name, name) for name in close)) or names[:5]
