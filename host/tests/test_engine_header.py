# SPDX-License-Identifier: Apache-2.0
"""The engine as a header alone: what a program in C includes."""

import ctypes
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest
from descring_model.engine.batch import Batch
from descring_model.engine.model import ModelEngine
from engine_support import batch_like

pytestmark = pytest.mark.slow

INCLUDE = Path(__file__).resolve().parents[1] / "include"
STRICT = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fno-strict-aliasing")
SOURCE = """
#include <stdlib.h>
#include "hw_engine.h"
const char *environment(void) { return hwe_environment(); }
int advance(unsigned char *arena, uint64_t bytes, uint64_t record, uint32_t end) {
  hwe_weights_t *weights = malloc(sizeof *weights);
  hwe_worker_t *worker = malloc(hwe_worker_bytes(37));
  hwe_fill_weights(weights, 37, malloc(hwe_unembedding_bytes(37)));
  const int status = hwe_advance(&hwe_scalar, weights, worker, arena, bytes, record, end);
  free(weights->unembedding);
  free(weights);
  free(worker);
  return status;
}
"""


def build(folder: Path, *options: str) -> ctypes.CDLL:
    """The source above as a library."""
    source, library = folder / "engine.c", folder / f"engine{len(options)}.so"
    source.write_text(SOURCE)
    command = ["cc", *STRICT, *options, "-shared", "-fPIC", f"-I{INCLUDE}", str(source)]
    subprocess.run(
        [*command, "-o", str(library)], check=True, timeout=60, capture_output=True, text=True
    )
    loaded = ctypes.CDLL(str(library))
    loaded.environment.restype = ctypes.c_char_p
    return loaded


def test_the_header_alone_makes_the_golden_models_tokens(tmp_path: Path) -> None:
    """[NUM-008] Strict C11, without a warning."""
    library = build(tmp_path, "-ffp-contract=off")
    assert library.environment() is None
    model = Batch(ModelEngine(37), [[3, 1, 4]], 50, [{"seed": 8, "top_k": 9}])
    other = batch_like(model.engine, model)
    model.advance(50)
    status = library.advance(
        ctypes.c_void_p(other.arena.ctypes.data),
        ctypes.c_uint64(len(other.arena)),
        ctypes.c_uint64(int(other.offsets[0])),
        50,
    )
    assert status == 0
    assert np.array_equal(other.arena, model.arena)


def test_arithmetic_without_rules_does_not_compile(tmp_path: Path) -> None:
    """[NUM-006] -ffast-math is refused by the compiler."""
    with pytest.raises(subprocess.CalledProcessError) as raised:
        build(tmp_path, "-ffast-math")
    assert "expected IEEE arithmetic for the engine, got -ffast-math" in raised.value.stderr


@pytest.mark.skipif(platform.machine() != "x86_64", reason="-mfma is x86's")
def test_fused_sums_are_refused_by_name(tmp_path: Path) -> None:
    """[NUM-006] What -ffp-contract=fast makes of a processor that can."""
    if "fma" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor cannot fuse")
    library = build(tmp_path, "-mfma", "-ffp-contract=fast")
    assert b"fused" in library.environment()
