# SPDX-License-Identifier: Apache-2.0
"""Every kernel compiles for every architecture, without a GPU and without a warning."""

import pytest
from descring_cuda.kernels import PROGRAM, source
from descring_sim.gen import nvrtc

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_kernels_compile_without_a_warning(arch: str) -> None:
    """Both shapes; NVRTC's log is empty and holds machine code."""
    result = nvrtc.compile_program(source(PROGRAM), {}, arch=arch)
    assert result.log == ""
    for kernel in (b"hw_latency", b"hw_throughput"):
        assert kernel in result.cubin


def test_a_warning_would_be_seen() -> None:
    """The log of a program that only deserves a warning is not empty."""
    text = "__device__ int sloppy() { int unused; return 1; return 2; }\n"
    assert "warning" in nvrtc.compile_program(text, {}, arch="sm_90").log
