# SPDX-License-Identifier: Apache-2.0
"""Hatch hook: compiles the native core of ``descring_host`` into the wheel, or into the tree."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeCoreHook(BuildHookInterface):  # type: ignore[misc]
    """Builds ``descring_host._native`` (see ``host/native/build.py``)."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; for an editable install the module is put beside its Python sources."""
        script = Path(self.root) / "host" / "native" / "build.py"
        spec = importlib.util.spec_from_file_location("descring_native_build", script)
        assert spec is not None and spec.loader is not None
        native = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(native)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if version == "editable":
            native.build()
            return
        self._scratch = tempfile.TemporaryDirectory()
        built = native.build(Path(self._scratch.name))
        build_data["force_include"][str(built)] = f"descring_host/{built.name}"
