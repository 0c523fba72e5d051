// SPDX-License-Identifier: Apache-2.0
//
// The indices of a command and a done ring, with store buffers: lines are stored before the tail that
// publishes them, and taken before the head that frees their slots; each side looks at the other's
// index only when its cached copy does not suffice. Indices wrap at 2 * SLOTS or more. Every line must
// return once, in order, and no slot may be overwritten before it was read.
//
//   EARLY_TAIL  the tail is stored before the line: must fail
//   EARLY_HEAD  the slot is freed before it was read: must fail
//   ONE_MORE    a full ring is taken for one with room: must fail
//
// CHECK: holds -DSLOTS=2 -DINDICES=4 -DLINES=5
// CHECK: fails -DSLOTS=2 -DINDICES=4 -DLINES=5 -DEARLY_TAIL
// NIGHTLY: fails -DSLOTS=2 -DINDICES=4 -DLINES=5 -DEARLY_HEAD
// NIGHTLY: fails -DSLOTS=2 -DINDICES=4 -DLINES=5 -DONE_MORE
// NIGHTLY: holds -DSLOTS=2 -DINDICES=4 -DLINES=9
// NIGHTLY: holds -DSLOTS=4 -DINDICES=8 -DLINES=9

#define NEXT(index) ((index + 1) % INDICES)
#define USED(tail, head) ((tail + INDICES - head) % INDICES)
#ifdef ONE_MORE
#define CAPACITY (SLOTS + 1)
#else
#define CAPACITY SLOTS
#endif

byte cmd[SLOTS], done[SLOTS];         // what everybody sees
byte cmd_tail, done_tail, done_head;
byte cmd_head;

// Two store buffers, first in, first out: (what, where, value).
mtype = { SET_CMD, SET_CMD_TAIL, SET_DONE_HEAD, SET_DONE, SET_DONE_TAIL, SET_CMD_HEAD };
chan host_stores = [3] of { mtype, byte, byte };
chan worker_stores = [3] of { mtype, byte, byte };

inline drain(stores) {
  if
  :: stores ? SET_CMD, where, value -> cmd[where] = value
  :: stores ? SET_CMD_TAIL, where, value -> cmd_tail = value
  :: stores ? SET_DONE_HEAD, where, value -> done_head = value
  :: stores ? SET_DONE, where, value -> done[where] = value
  :: stores ? SET_DONE_TAIL, where, value -> done_tail = value
  :: stores ? SET_CMD_HEAD, where, value -> cmd_head = value
  fi
}

active proctype memory() {
  byte where, value;
  end:
  do
  :: atomic { nempty(host_stores) -> drain(host_stores); where = 0; value = 0 }
  :: atomic { nempty(worker_stores) -> drain(worker_stores); where = 0; value = 0 }
  od
}

active proctype host() {
  byte sent = 0, taken = 0, tail = 0, head = 0, seen_head = 0, seen_tail = 0, line;
  do
  :: taken == LINES -> break
  :: sent < LINES ->
    if
    :: USED(tail, seen_head) == CAPACITY -> seen_head = cmd_head
    :: else
    fi;
    if
    :: USED(tail, seen_head) < CAPACITY ->
#ifdef EARLY_TAIL
      host_stores ! SET_CMD_TAIL, 0, NEXT(tail);
#endif
      host_stores ! SET_CMD, tail % SLOTS, sent + 1;
#ifndef EARLY_TAIL
      host_stores ! SET_CMD_TAIL, 0, NEXT(tail);
#endif
      tail = NEXT(tail);
      sent++
    :: else
    fi
  :: taken < LINES ->
    if
    :: seen_tail == head -> seen_tail = done_tail
    :: else
    fi;
    if
    :: seen_tail != head ->
#ifdef EARLY_HEAD
      host_stores ! SET_DONE_HEAD, 0, NEXT(head);
#endif
      line = done[head % SLOTS];
      assert(line == taken + 1);      // in order, once, and whole
      taken++;
      head = NEXT(head);
#ifndef EARLY_HEAD
      host_stores ! SET_DONE_HEAD, 0, head;
#endif
      line = 0
    :: else
    fi
  od
}

active proctype worker() {
  byte head = 0, tail = 0, seen_tail = 0, seen_head = 0, line;
  end:
  do
  :: seen_tail == head && cmd_tail != seen_tail -> seen_tail = cmd_tail
  :: seen_tail != head && USED(tail, seen_head) == CAPACITY && done_head != seen_head ->
    seen_head = done_head
  :: seen_tail != head && USED(tail, seen_head) < CAPACITY ->
    line = cmd[head % SLOTS];
    worker_stores ! SET_DONE, tail % SLOTS, line;
    head = NEXT(head);
    tail = NEXT(tail);
    worker_stores ! SET_DONE_TAIL, 0, tail;
    worker_stores ! SET_CMD_HEAD, 0, head;
    line = 0
  od
}
