# SPDX-License-Identifier: Apache-2.0
"""Names of a package that are imported when they are first used."""

import importlib


def attribute_of(package: str, name: str, home: str | None) -> object:
    """Import ``name`` from the module ``home`` of ``package``; None: it is a module itself."""
    if home is None:
        return importlib.import_module(f"{package}.{name}")
    value: object = getattr(importlib.import_module(f"{package}.{home}"), name)
    return value
