# SPDX-License-Identifier: Apache-2.0
"""The checks of pages in a browser, for the tests of every page that the project writes."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
from descring_sim.support import paths


def page_checker() -> ModuleType:
    """``docs/tools/check_browser.py`` as a module; skips the test where there is no browser."""
    root = paths.checkout_root()
    assert root is not None
    place = root / "docs" / "tools" / "check_browser.py"
    spec = importlib.util.spec_from_file_location("check_browser", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not module.available():
        pytest.skip(module.NO_BROWSER)
    return module
