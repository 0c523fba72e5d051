# SPDX-License-Identifier: Apache-2.0
"""Text of foreign origin as it can be shown: in a terminal, in XML and in HTML."""

from __future__ import annotations

import unicodedata

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn")


def visible(text: str) -> str:
    """``text`` with an escape for every character that is none to be seen.

    Control characters move a cursor, format characters turn text round, surrogates have no
    encoding, and XML has none of the first and of U+FFFE. Line feeds and tabs stay.
    """
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in _HIDDEN else _escape(ord(c))
        for c in text
    )


def _escape(code: int) -> str:
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
    )
