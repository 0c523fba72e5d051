# SPDX-License-Identifier: Apache-2.0
"""Whether a record from a file or another process holds what its class declares."""

from __future__ import annotations

import functools
import typing
from typing import Any, TypeVar

_PLAIN: dict[Any, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (int, float),
}

_Record = TypeVar("_Record")


def check_types(record: _Record) -> _Record:
    """Return ``record``, a dataclass or NamedTuple, if its plain fields are of their types.

    Plain are ``str``, ``bool``, ``int``, ``float`` (an int will do) and a tuple of one of these;
    fields of other types are not checked. A bool is no number.

    Raises:
        TypeError: a field holds something else; it is named.
    """
    kind: Any = type(record)
    for name, (wanted, many) in _fields(kind).items():
        value = getattr(record, name)
        if many and not isinstance(value, tuple):
            raise TypeError(f"{name} is no tuple")
        for each in value if many else (value,):
            if not isinstance(each, wanted) or (isinstance(each, bool) and bool not in wanted):
                raise TypeError(f"{name} is no {wanted[0].__name__}")
    return record


@functools.cache
def _fields(kind: Any) -> dict[str, tuple[tuple[type, ...], bool]]:
    """Each plain field: the types that its value may have, and whether it is a tuple of them."""
    found = {}
    for name, hint in typing.get_type_hints(kind).items():
        arguments = typing.get_args(hint)
        many = typing.get_origin(hint) is tuple and arguments[1:] == (Ellipsis,)
        plain = arguments[0] if many else hint
        if plain in _PLAIN:
            found[name] = (_PLAIN[plain], many)
    return found
