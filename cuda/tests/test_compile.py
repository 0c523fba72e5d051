# SPDX-License-Identifier: Apache-2.0
"""Every kernel compiles for every architecture, without a GPU and without a warning."""

import pytest
from descring_cuda.kernels import PROGRAM, source
from descring_cuda.machine import ENGINE_PROGRAM, RESIDENT_PROGRAM
from descring_sim.gen import nvrtc

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")


KERNELS = {
    PROGRAM: ("hw_latency", "hw_throughput"),
    ENGINE_PROGRAM: (
        "hwe_attention",
        "hwe_logits_16",
        "hwe_logits_32",
        "hwe_draws",
        "hwe_long_draws",
        "hwe_tail_4",
        "hwe_tail_16",
        "hwe_tail_32",
    ),
    RESIDENT_PROGRAM: ("hw_resident_4", "hw_resident_8", "hw_resident_16"),
}


# The two large programs take half a minute for an architecture: nightly compiles them for each.
@pytest.mark.parametrize(
    ("program", "arch"),
    [
        pytest.param(
            program,
            arch,
            marks=[pytest.mark.nightly] * (arch != "sm_90" and program != PROGRAM),
        )
        for program in KERNELS
        for arch in ARCHITECTURES
    ],
)
def test_kernels_compile_without_a_warning(program: str, arch: str) -> None:
    """NVRTC's log is empty, and there is machine code of each kernel."""
    result = nvrtc.compile_program(source(program), {}, arch=arch)
    assert result.log == ""
    for kernel in KERNELS[program]:
        assert kernel.encode() in result.cubin


def test_a_warning_would_be_seen() -> None:
    """The log of a program that only deserves a warning is not empty."""
    text = "__device__ int sloppy() { int unused; return 1; return 2; }\n"
    assert "warning" in nvrtc.compile_program(text, {}, arch="sm_90").log
