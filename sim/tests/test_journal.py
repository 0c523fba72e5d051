# SPDX-License-Identifier: Apache-2.0
"""What is kept between runs: journals, and build products by the hash of their inputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from descring_sim.support import build_cache
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import FileError
from descring_sim.support.journal import MAX_LINE, Journal


def _number(entry: dict[str, int]) -> int:
    return entry["n"]


def test_a_torn_entry_is_left_out_and_replaced(tmp_path: Path) -> None:
    """A kill in the middle of an entry costs it alone; reading changes nothing."""
    journal = Journal(tmp_path / "new" / "j.jsonl", "a number")
    assert journal.read(_number) == []
    journal.add({"n": 1})
    torn = journal.path.read_bytes() + b'{"n": 2'
    journal.path.write_bytes(torn)
    other = Journal(journal.path, "a number")
    assert other.read(_number) == [1]
    assert journal.path.read_bytes() == torn
    other.add({"n": 3})
    other.add({"n": 4})
    assert journal.read(_number) == [1, 3, 4]
    other.replace([{"n": 5}])
    with pytest.raises(FileError):
        Journal(tmp_path / "no" / "j.jsonl", "a number").replace([])
    assert journal.read(_number) == [5]


@pytest.mark.parametrize(
    "line", [b"no JSON\n", b'{"m": 1}\n', b"[]\n", b"7\n", b"[" * 9999 + b"\n"]
)
def test_a_line_that_is_none_of_ours_is_named(tmp_path: Path, line: bytes) -> None:
    """File, line number, what was expected, and what to do."""
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"n": 1}\n' + line)
    with pytest.raises(SimulationError, match=r"j\.jsonl:2: expected a number, got .*; burn it"):
        Journal(path, "a number", "burn it").read(_number)


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    """Nor is a pipe waited for."""
    path = tmp_path / "j.jsonl"
    with path.open("wb") as file:
        file.truncate(MAX_LINE + 10)
    with pytest.raises(SimulationError, match=r"j\.jsonl:1: expected a number"):
        Journal(path, "a number").read(_number)
    with pytest.raises(FileError, match="Is a directory"):
        Journal(tmp_path, "a number").read(_number)


def test_a_product_is_there_once_it_was_filled(tmp_path: Path) -> None:
    """Not after an exception, not without the file that is needed, and then it is empty."""
    folder = tmp_path / "link" / "product"
    (tmp_path / "link").symlink_to(tmp_path / "to be made")
    needed = folder / "library"
    with pytest.raises(ZeroDivisionError), build_cache.product(folder, needed) as there:
        (folder / "rest").write_text("x")
        raise ZeroDivisionError
    for expected in (False, True):
        with build_cache.product(folder, needed) as there:
            assert there == expected
            assert there or not list(folder.iterdir())
            needed.write_text("x")
    needed.unlink()
    with build_cache.product(folder, needed) as there:
        assert not there


def test_a_key_depends_on_names_and_content(tmp_path: Path) -> None:
    """And on nothing else of a file."""
    one, other = tmp_path / "a", tmp_path / "b"
    keys = []
    for path, text in ((one, "x"), (other, "x"), (other, "y")):
        path.write_text(text)
        keys.append(build_cache.key(["id"], [path]))
    keys.append(build_cache.key(["other id"], [other]))
    assert len(set(keys)) == 4 and len(keys[0]) == 16
    (tmp_path / "folder").mkdir()
    moved = tmp_path / "folder" / "b"
    moved.write_text("y")
    assert build_cache.key(["id"], [moved]) == keys[2]
