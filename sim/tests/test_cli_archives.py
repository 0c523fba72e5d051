# SPDX-License-Identifier: Apache-2.0
"""Bundles that expand when they are read: one line and exit code 2, within a limit of memory."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from descring_sim.cli import main as cli
from descring_sim.replay import bundle

DESCRING = str(Path(sys.executable).with_name("descring"))


def bombs() -> Iterator[tuple[str, bytes]]:
    """Archives that unpack to far more than they have."""
    for name in ("manifest.npy", "decode/lines.npy"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            if name != "manifest.npy":
                with zipfile.ZipFile("whole.npz") as whole:
                    archive.writestr("manifest.npy", whole.read("manifest.npy"))
            with archive.open(name, "w", force_zip64=True) as entry:
                for _ in range(40):
                    entry.write(bytes(1 << 24))
        yield name, file.getvalue()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(20):
            archive.writestr(f"{number:060000}", b"")
    yield "a long list of files", file.getvalue()


@pytest.mark.slow
def test_an_archive_that_expands_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 512 MiB of memory."""
    monkeypatch.chdir(tmp_path)
    limit = 512 << 20
    assert cli.run(["record", "whole.npz", "--backend", "model", "--count", "5"]) == 0
    for name, data in bombs():
        Path("bomb.npz").write_bytes(data)
        result = subprocess.run(
            [DESCRING, "check", "bomb.npz", "--backend", "model"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        )
        assert result.returncode == 2, name
        assert result.stderr.startswith("descring: error: "), result.stderr
        assert len(result.stderr.splitlines()) == 1, result.stderr
        assert "expected a bundle" in result.stderr, name
    assert limit // 16 > bundle.MAX_ARRAY
