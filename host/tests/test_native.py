# SPDX-License-Identifier: Apache-2.0
"""The worker step as a header: the same bytes as the golden model, in C11 and in CUDA C++."""

import ctypes
import importlib.util
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from descring_host import CommandQueue, open_device
from descring_model import DESC_DTYPE, complete, streams
from host_support import assert_same, run_stream

INCLUDE = Path(__file__).resolve().parents[1] / "include"
NATIVE = INCLUDE.parent / "native"
LINES = int(os.environ.get("DESCRING_RANDOM_LINES", "200000"))
"""`DESCRING_RANDOM_LINES=10000000` for the long run that docs/results shows."""


def test_random_lines_through_the_wrap_are_byte_identical() -> None:
    """[DESC-014] [DESC-020..DESC-025] [OP-000..OP-004] [OP-ERR] [OP-010] [OP-011] [ERR-010]

    [ERR-011] [FLAG-010] [FLAG-011] [DEC-001..DEC-004] [RING-002]: all profiles mixed, any seed.
    """
    seed = int(np.random.SeedSequence().entropy) % (1 << 31)  # type: ignore[arg-type]
    chunk = 50_000
    index = (0 - LINES // 2) & 0xFFFFFFFF
    profiles = list(streams.PROFILES)
    with (
        open_device("cpu", memory=16 << 20, first_index=index) as device,
        CommandQueue(device, cmd_slots=65536) as queue,
    ):
        for number, start in enumerate(range(0, LINES, chunk)):
            count = min(chunk, LINES - start)
            profile = profiles[number % len(profiles)]
            lines = streams.generate(count, seed=seed + number, profile=profile, first_index=index)
            done, _ = run_stream(queue, lines, 5000)
            expected = complete(lines, first_index=index)
            try:
                assert_same(expected, done)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, chunk {number}, {profile}: {error}") from None
            index = (index + count) & 0xFFFFFFFF


def test_the_header_alone_compiles_and_answers_with_its_own_checksum(tmp_path: Path) -> None:
    """[DESC-020] [OP-010]: the portable CRC, which a target without the instruction uses."""
    source = tmp_path / "step.c"
    source.write_text(
        '#include "hw_worker.h"\n'
        "void steps(hw_desc_t *lines, unsigned count, unsigned index) {\n"
        "  for (unsigned at = 0; at < count; ++at) {\n"
        "    const hw_step_t step = hw_worker_step(&lines[at], index + at, 0);\n"
        "    if (step.seal) hw_worker_seal(&lines[at], index + at);\n"
        "  }\n"
        "}\n"
    )
    library = tmp_path / "step.so"
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC"]
    subprocess.run(
        ["cc", *flags, f"-I{INCLUDE}", str(source), "-o", str(library)], check=True, timeout=60
    )
    lines = streams.generate(4096, seed=5, profile="mixed", first_index=9)
    expected = complete(lines, first_index=9)
    aligned = np.zeros(4097 * 64, dtype=np.uint8)
    start = -aligned.ctypes.data % 64
    window = aligned[start : start + 4096 * 64].view(DESC_DTYPE)
    window[:] = lines
    ctypes.CDLL(str(library)).steps(ctypes.c_void_p(window.ctypes.data), 4096, 9)
    assert_same(expected, window)


def test_the_header_is_cuda_cpp() -> None:
    """[DESC-014]: NVRTC compiles it for a GPU; what it computes there is the CUDA suite's."""
    nvrtc = pytest.importorskip("nvidia.cu13", reason="the wheel nvidia-cuda-nvrtc is not there")
    found = [path for root in nvrtc.__path__ for path in Path(root).rglob("libnvrtc.so*")]
    assert found, "the wheel has no libnvrtc.so"
    for builtins in Path(found[0]).parent.glob("libnvrtc-builtins.so*"):
        ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)  # NVRTC looks for it by name alone
    library = ctypes.CDLL(str(found[0]))
    kernel = (
        b'#include "hw_worker.h"\n'
        b'extern "C" __global__ void step(hw_desc_t *line, unsigned *tokens) {\n'
        b"  const hw_step_t step = hw_worker_step(line, 3u, 1);\n"
        b"  if (step.seal) hw_worker_seal(line, 3u);\n"
        b"  *tokens = step.tokens;\n"
        b"}\n"
    )
    headers = [(INCLUDE / name).read_bytes() for name in ("hw_worker.h", "hw_desc.h")]
    program = ctypes.c_void_p()
    texts = (ctypes.c_char_p * 2)(*headers)
    names = (ctypes.c_char_p * 2)(b"hw_worker.h", b"hw_desc.h")
    created = library.nvrtcCreateProgram(ctypes.byref(program), kernel, b"step.cu", 2, texts, names)
    assert created == 0
    options = (ctypes.c_char_p * 1)(b"--gpu-architecture=sm_90")
    failed = library.nvrtcCompileProgram(program, 1, options)
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    assert not failed, log.value.decode()


@pytest.mark.slow
def test_the_stress_program_finds_nothing(tmp_path: Path) -> None:
    """[RING-006] [RING-007] [LIFE-003] [LIFE-007]: threads that submit, take, pause and resume.

    `make sanitize` runs the same program under ThreadSanitizer and AddressSanitizer.
    """
    sources = [*map(str, NATIVE.glob("*.c")), str(NATIVE / "check" / "stress.c")]
    program = tmp_path / "stress"
    flags = ["-std=c11", "-O2", "-pthread", f"-I{NATIVE}", f"-I{INCLUDE}"]
    subprocess.run(["cc", *flags, *sources, "-o", str(program)], check=True, timeout=120)
    result = subprocess.run([str(program), "300"], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("good") == 16


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["thread", "address,undefined"])
def test_closing_while_another_thread_is_inside_a_call(tmp_path: Path, kind: str) -> None:
    """[LIFE-001]: each call ends and finds it closed; what it uses goes last. Under sanitizers.

    `make sanitize` runs more rounds, `make nightly` 10000 of each.
    """
    sources = [*map(str, NATIVE.glob("*.c")), str(NATIVE / "check" / "closing.c")]
    program = tmp_path / "closing"
    flags = ["-std=c11", "-g", "-O1", "-fno-strict-aliasing", "-pthread", f"-fsanitize={kind}"]
    flags += ["-fno-sanitize-recover=all", f"-I{NATIVE}", f"-I{INCLUDE}"]
    subprocess.run(["cc", *flags, *sources, "-o", str(program)], check=True, timeout=120)
    environment = {**os.environ, "TSAN_OPTIONS": "halt_on_error=1 exitcode=66"}
    result = subprocess.run(
        [str(program), "4"], capture_output=True, text=True, timeout=300, env=environment
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("good") == 3


@pytest.mark.slow
def test_each_file_of_the_core_calls_only_what_stands_before_it(tmp_path: Path) -> None:
    """The layers that ``build.CORE`` lists; a file that is not in the list is not in the core."""
    script = importlib.util.spec_from_file_location("native_build", NATIVE / "build.py")
    assert script is not None and script.loader is not None
    build = importlib.util.module_from_spec(script)
    script.loader.exec_module(build)
    files = [*NATIVE.glob("*.c"), *NATIVE.glob("rollouts/*.c"), *NATIVE.glob("engine/*.c")]
    assert sorted(build.CORE) == sorted(str(path.relative_to(NATIVE)) for path in files)
    defined: dict[str, str] = {}
    called = 0
    for name in build.CORE:
        compiled = tmp_path / f"{Path(name).stem}.o"
        command = [build.compiler(), "-std=c11", "-O0", f"-I{NATIVE}", f"-I{INCLUDE}", "-c"]
        subprocess.run([*command, str(NATIVE / name), "-o", str(compiled)], check=True)
        table = subprocess.run(
            ["nm", "-g", str(compiled)], check=True, capture_output=True, text=True
        ).stdout
        symbols = [line.split() for line in table.splitlines()]
        wanted = {words[-1] for words in symbols if words[-2] == "U"}
        missing = {
            symbol for symbol in wanted if symbol[:3] in ("hw_", "hd_", "hq_", "he_")
        } - defined.keys()
        assert not missing, f"{name} calls {sorted(missing)}, which its layers do not define"
        called += len(wanted & defined.keys())
        defined |= {words[-1]: name for words in symbols if words[-2] in "TBD"}
    assert called > 20
