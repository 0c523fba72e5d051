# SPDX-License-Identifier: Apache-2.0
"""Memory of the arena: pages that smaps confirms, and what is refused."""

import errno
import os
import re
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from descring_host import DeviceError
from descring_model.rollouts.errors import RolloutError
from descring_rollouts.kv import PAGES, Arena, Memory, PrefixTree
from descring_rollouts.native import ffi, lib
from descring_rollouts.policy_queue import PolicyQueue
from descring_rollouts.slab import SLOTS_MAX, Slab

NATIVE = Path(__file__).resolve().parents[1] / "native"


def smaps_of(start: int) -> dict[str, int]:
    """The numbers that smaps has of the mapping that begins at `start`; sizes in bytes."""
    found: dict[str, int] = {}
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if head:
            inside = int(head[1], 16) == start
        elif inside and line.endswith(" kB"):
            name, number = line.split(":")
            found[name] = int(number.split()[0]) << 10
    return found


def rungs() -> dict[str, Memory | str]:
    """What each rung gives on this machine: memory, or the reason."""
    found: dict[str, Memory | str] = {}
    for pages in PAGES:
        try:
            found[pages] = Memory(5 << 20, require=pages)
        except DeviceError as error:
            found[pages] = str(error)
    return found


def test_each_rung_is_what_smaps_says_or_is_refused_with_its_reason() -> None:
    """Three MAP_HUGETLB, MADV_HUGEPAGE and small pages; small pages can always be had."""
    found = rungs()
    assert isinstance(found["small"], Memory)
    mode = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if mode.exists() and "[never]" not in mode.read_text():
        assert isinstance(found["thp"], Memory), found["thp"]
    for pages, memory in found.items():
        if isinstance(memory, str):
            assert re.match(r"cannot map 5242880 bytes: \w.*: \w+", memory), memory
            continue
        report = memory.report
        assert (report.pages, report.bytes) == (pages, 6 << 20)
        assert memory.array.shape == (6 << 20,)
        assert not memory.array.any()
        kernel = smaps_of(int(memory.array.ctypes.data))
        huge = kernel["Size"] if kernel["KernelPageSize"] >= 2 << 20 else kernel["AnonHugePages"]
        assert huge == report.huge_bytes == (0 if pages == "small" else 6 << 20)
        assert report.huge_bytes + report.small_bytes == report.bytes
        memory.array[:] = 255


def test_the_best_rung_is_taken_and_the_others_have_their_reason() -> None:
    """Whichever this machine has."""
    found = rungs()
    best = next(pages for pages, memory in found.items() if isinstance(memory, Memory))
    report = Memory(5 << 20).report
    assert report.pages == best
    assert list(report.refused) == list(PAGES[: PAGES.index(best)])


def test_memory_is_given_back() -> None:
    """The mapping is gone with its last reference."""
    memory = Memory(8 << 20, require="small")
    start = int(memory.array.ctypes.data)
    assert smaps_of(start)["Rss"] == 8 << 20
    del memory
    assert not smaps_of(start)


def test_a_node_holds_every_page_or_the_memory_is_refused() -> None:
    """As numa_maps has it, page by page."""
    nodes = sorted(
        int(path.name[4:]) for path in Path("/sys/devices/system/node").glob("node[0-9]*")
    )
    if not nodes:
        pytest.skip("this kernel has no NUMA nodes")
    memory = Memory(4 << 20, require="small", node=nodes[0])
    assert memory.report.node == nodes[0]
    numa = Path("/proc/self/numa_maps").read_text().splitlines()
    line = next(row for row in numa if int(row.split()[0], 16) == memory.array.ctypes.data)
    assert f"bind:{nodes[0]}" in line
    assert f"N{nodes[0]}=1024" in line
    with pytest.raises(DeviceError, match=r"cannot map .*small pages: "):
        Memory(4 << 20, require="small", node=nodes[-1] + 1)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that maps memory on a kernel that refuses what the program is told."""
    program = tmp_path_factory.mktemp("memory") / "memory_refused"
    command = ["cc", "-std=c11", "-O1", f"-I{NATIVE}", f"-I{NATIVE.parent / 'include'}"]
    command += [str(NATIVE / "check" / "memory_refused.c"), "-o", str(program)]
    subprocess.run(command, check=True, timeout=60)
    return program


TWO_HUGE = 4 << 20
REFUSALS: dict[str, tuple[str, dict[str, int], str]] = {
    "no room": ("small", {"reserve": errno.ENOMEM}, f"no room for {TWO_HUGE} bytes: {{0}}"),
    "no huge pages in the pool": ("hugetlb", {"hugetlb": errno.ENOMEM}, "MAP_HUGETLB: {0}"),
    "a kernel without huge pages": ("thp", {"thp": errno.EINVAL}, "MADV_HUGEPAGE: {0}"),
    "no small pages": ("small", {"small": errno.ENOMEM}, "small pages: {0}"),
    "no memory": ("small", {"populate": errno.ENOMEM}, "small pages: {0}"),
    "no smaps": ("small", {"smaps": errno.EMFILE}, "small pages: {0}"),
    "no binding": ("small", {"bind": errno.EPERM}, "small pages: {0}"),
    "no move_pages": ("small", {"move_pages": errno.ENOSYS}, "move_pages: {0}"),
    "another node": ("small", {"elsewhere": 1}, "1022 of 1024 pages are on node 0"),
    "no rung": (
        "any",
        {"hugetlb": errno.ENOMEM, "thp": errno.EINVAL, "small": errno.EACCES},
        "MAP_HUGETLB: {0}; MADV_HUGEPAGE: {1}; small pages: {2}",
    ),
}


def mapped_by(program: Path, pages: str, node: int, failing: dict[str, int]) -> str:
    """What the program prints; it has checked that no page stays mapped."""
    rung = len(PAGES) if pages == "any" else PAGES.index(pages)
    calls = [f"{name}={number}" for name, number in failing.items()]
    run = subprocess.run(
        [str(program), str(rung), str(node), *calls], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_kernel_refuses_is_named_and_leaves_nothing(refusing: Path, case: str) -> None:
    """Each call that can fail, with the system's words for why."""
    pages, failing, text = REFUSALS[case]
    expected = text.format(*map(os.strerror, failing.values()))
    assert mapped_by(refusing, pages, 0, failing) == expected


@pytest.mark.parametrize(
    ("pages", "node", "failing", "refused"),
    [
        ("small", -1, {"small": errno.EINVAL}, (0, 0, 0)),
        ("small", -1, {"populate": errno.EINVAL}, (0, 0, 0)),
        ("small", 0, {}, (0, 0, 0)),
        ("any", 0, {"hugetlb": errno.ENOMEM, "thp": errno.EINVAL}, (errno.ENOMEM, errno.EINVAL, 0)),
    ],
    ids=["no huge pages", "before 5.14", "on a node", "the last rung"],
)
def test_an_older_kernel_gives_small_pages(
    refusing: Path, pages: str, node: int, failing: dict[str, int], refused: tuple[int, ...]
) -> None:
    """One without huge pages, or without MADV_POPULATE_WRITE: all pages are there all the same."""
    on_node = TWO_HUGE // 4096 if node >= 0 else 0
    assert mapped_by(refusing, pages, node, failing) == (
        f"pages 2, {' '.join(map(str, refused))} refused, 0 of {TWO_HUGE} bytes huge, "
        f"{on_node} of {on_node} on the node"
    )


@pytest.mark.parametrize(
    ("size", "rung", "node", "accepted"),
    [
        (0, 2, -1, False),
        (1 << 46, 2, -1, True),
        ((1 << 46) + 1, 2, -1, False),
        (1 << 46, -1, -1, False),
        (1 << 46, 0, -1, True),
        (1 << 46, 3, -1, True),
        (1 << 46, 4, -1, False),
        (1 << 46, 2, -2, False),
        (1 << 46, 2, 1023, True),
        (1 << 46, 2, 1024, False),
    ],
)
def test_the_native_call_has_the_same_bounds(
    size: int, rung: int, node: int, accepted: bool
) -> None:
    """What it accepts is asked of the system, which has not so much room here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    least = 1 << 40
    report, text = ffi.new("hr_memory_report_t *"), ffi.new("char[200]")
    resource.setrlimit(resource.RLIMIT_AS, (least if soft < 0 else min(soft, least), hard))
    try:
        memory = lib.hr_memory_map(size, rung, node, report, text, len(text))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert memory == ffi.NULL
    expected = f"no room for {size} bytes: " if accepted else "expected 1 to 2^46 bytes, a rung and"
    assert ffi.string(text).decode().startswith(expected)


@pytest.mark.parametrize(("nodes", "branches"), [(1, 1), (1 << 24, 1), (1, 1 << 24)])
def test_a_tree_may_be_as_large_as_its_bounds(nodes: int, branches: int) -> None:
    """The last id of either kind is one above the largest that is refused."""
    tree = PrefixTree(Arena(2), nodes=nodes, branches=branches)
    assert tree.node(0, 1) == 1
    assert tree.fork(1, 1) == 0


@pytest.mark.parametrize(("nodes", "branches"), [(0, 1), (1, 0), ((1 << 24) + 1, 1), (1, 1 << 25)])
def test_the_native_tree_refuses_what_is_beyond_them(nodes: int, branches: int) -> None:
    """It has bounds of its own."""
    assert lib.hr_tree_open(Arena(2).handle, nodes, branches) == ffi.NULL


@pytest.mark.parametrize("slots", [1, SLOTS_MAX])
def test_a_slab_may_be_as_large_as_its_bounds(slots: int) -> None:
    """Its last slot can be admitted, and there is none behind it."""
    slab = Slab(slots)
    assert slab.admit(slots - 1) & 0xFFFFFFFF == slots - 1
    assert lib.hr_slab_word(slab.handle, slots) == (1 << 64) - 1
    assert lib.hr_slab_open(0) == lib.hr_slab_open(SLOTS_MAX + 1) == ffi.NULL


@pytest.mark.parametrize(
    "arguments",
    [
        {"size": 0},
        {"size": (1 << 46) + 1},
        {"size": 1, "require": "huge"},
        {"size": 1, "node": -1},
        {"size": 1, "node": 1024},
    ],
)
def test_memory_out_of_range_is_refused(arguments: dict[str, Any]) -> None:
    """The text names what was expected."""
    with pytest.raises(ValueError, match="expected"):
        Memory(**arguments)


@pytest.mark.parametrize(
    ("blocks", "options"),
    [(0, {}), (1 << 31, {}), (1, {"block_bytes": 100}), (1, {"block_bytes": 0})],
)
def test_an_arena_out_of_range_is_refused(blocks: int, options: dict[str, Any]) -> None:
    """Likewise."""
    with pytest.raises(ValueError, match="expected"):
        Arena(blocks, **options)


def test_numbers_that_do_not_fit_are_refused_by_name() -> None:
    """No call wraps them or fails in the binding."""
    arena = Arena(4)
    tree = PrefixTree(arena, nodes=2, branches=2)
    queue = PolicyQueue(0, 0, room=2)
    slab = Slab(2)
    calls: list[tuple[str, Callable[[Any], Any]]] = [
        ("handle", arena.free),
        ("count", arena.reserve),
        ("parent", lambda number: tree.node(number, 32)),
        ("tokens", lambda number: tree.node(0, number)),
        ("max_tokens", lambda number: tree.fork(1, number)),
        ("branch", tree.release),
        ("node", tree.count),
        ("position", lambda number: tree.write(0, number, 1, 0)),
        ("entry", queue.push),
        ("remaining", lambda number: queue.push(0, remaining=number)),
        ("start", lambda number: slab.move(1 << 32, number, 1)),
        ("slot", slab.admit),
    ]
    for name, call in calls:
        for number in (-1, 1 << 64, "1", 1.5):
            with pytest.raises(ValueError, match=f"^{name}: expected"):
                call(number)
    with pytest.raises(ValueError, match="rank: expected"):
        queue.push(0, rank=1 << 63)
    assert len(queue) == arena.in_use == arena.reserved == 0


@pytest.mark.parametrize("member", ["nodes", "branches"])
@pytest.mark.parametrize("number", [0, -1, (1 << 24) + 1])
def test_a_tree_out_of_range_is_refused(member: str, number: int) -> None:
    """Likewise, by the member's name."""
    sizes = {"nodes": 1, "branches": 1, member: number}
    with pytest.raises(ValueError, match=rf"^{member}: expected 1 to 2\^24, got {number}"):
        PrefixTree(Arena(4), **sizes)


REFUSED: dict[str, tuple[Callable[[Arena, PrefixTree], object], str]] = {
    "allocate": (lambda arena, _: arena.allocate(), "OUT_OF_BLOCKS: expected an available block"),
    "free": (
        lambda arena, _: arena.free(9 << 32),
        "STALE: expected a block in use, got handle 0x9",
    ),
    "reserve": (
        lambda arena, _: arena.reserve(3),
        "OUT_OF_BLOCKS: expected at most 0 blocks, got 3",
    ),
    "unreserve": (
        lambda arena, _: arena.unreserve(3),
        "CREDIT_UNDERFLOW: expected at most 2 reserved blocks, got 3",
    ),
    "write_tag": (
        lambda arena, _: arena.write_tag(1 << 32, 32, 0),
        "BAD_LENGTH: expected slot 32 of a block in use, got handle 0x1",
    ),
    "read_tag": (
        lambda arena, _: arena.read_tag(1 << 32, 33),
        "BAD_LENGTH: expected slot 33 of a block in use, got handle 0x1",
    ),
    "node": (lambda _, tree: tree.node(9, 50), "BAD_NODE: expected a node of 50 tokens below 9"),
    "fork": (
        lambda _, tree: tree.fork(9, 50),
        "BAD_NODE: expected a branch of node 9 up to 50 tokens",
    ),
    "release": (lambda _, tree: tree.release(7), "BAD_BRANCH: expected a live branch, got 7"),
    "fill": (lambda _, tree: tree.fill(9, 0), "BAD_NODE: expected a live node, got 9"),
    "prepare": (lambda _, tree: tree.prepare(7), "BAD_BRANCH: expected a live branch, got 7"),
    "write": (
        lambda _, tree: tree.write(7, 5, 1, 0),
        "BAD_BRANCH: expected branch 7 to be written at its length, got position 5",
    ),
    "digest": (lambda _, tree: tree.digest(7), "BAD_BRANCH: expected the digest of branch 7"),
    "tokens": (lambda _, tree: tree.tokens(9), "BAD_NODE: expected one that is live, got 9"),
    "count": (lambda _, tree: tree.count(9), "BAD_NODE: expected one that is live, got 9"),
    "length": (lambda _, tree: tree.length(7), "BAD_BRANCH: expected one that is live, got 7"),
    "own_blocks": (lambda _, tree: tree.own_blocks(7), "BAD_BRANCH: expected one that is live"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_has_its_error_and_changes_nothing(name: str) -> None:
    """[KV-002..KV-005] [COW-001..COW-008] The text has what was expected, and what was given."""
    arena = Arena(4, memory=Memory(2 << 20, require="small"), block_bytes=512)
    tree = PrefixTree(arena, nodes=2, branches=2)
    assert tree.node(0, 64) == 1
    arena.reserve(2)
    before = arena.in_use, arena.reserved, arena.available
    call, text = REFUSED[name]
    with pytest.raises(RolloutError, match=f"^{text}"):
        call(arena, tree)
    assert (arena.in_use, arena.reserved, arena.available) == before == (2, 2, 0)


def test_an_arena_larger_than_its_memory_is_refused() -> None:
    """2 MiB have 128 blocks."""
    with pytest.raises(ValueError, match="memory: expected"):
        Arena(129, memory=Memory(2 << 20))
