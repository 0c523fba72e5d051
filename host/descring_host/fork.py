# SPDX-License-Identifier: Apache-2.0
"""Devices and queues belong to the process that opened them: a forked child must not use them.

The child has a copy of every object, and shared memory that is the parent's very own. What it
submitted would go into the parent's ring, and its completions to the parent.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

BELONGS_TO_PARENT = (
    "it belongs to the process that opened it, of which this one was forked; open a device of its "
    "own in the child"
)
"""Why nothing of it can be used in a forked child."""


class Owned(Protocol):
    """What a forked child is told to keep its hands off."""

    def abandon(self) -> None:
        """In a forked child: refuse all calls from now on, and keep no hold on the parent's."""
        ...


_OWNED: weakref.WeakSet[Owned] = weakref.WeakSet()


def belongs_to_this_process(thing: Owned) -> None:
    """See that ``thing.abandon()`` is called in every child that is forked while it lives."""
    _OWNED.add(thing)


def _abandon_all() -> None:
    for thing in list(_OWNED):
        thing.abandon()


os.register_at_fork(after_in_child=_abandon_all)
