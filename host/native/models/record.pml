// SPDX-License-Identifier: Apache-2.0
//
// The record of progress (progress.c: hw_commit, hw_snapshot), with a worker that is killed between
// any two stores and a successor that carries on: a reader that sees the same number before and after
// has a whole record, the indices never go back, and no completion is posted twice.
//
//   ONE_RECORD  there is only one record: must fail
//   NO_RECHECK  the reader does not look at the number again: must fail
//
// CHECK: holds -DLINES=3 -DKILLS=1
// CHECK: fails -DLINES=3 -DKILLS=1 -DONE_RECORD
// NIGHTLY: fails -DLINES=3 -DKILLS=1 -DNO_RECHECK
// NIGHTLY: holds -DLINES=5 -DKILLS=3

#ifdef ONE_RECORD
#define WHICH(number) 0
#else
#define WHICH(number) ((number) % 2)
#endif

byte cmd_head[2], done_tail[2];
byte committed;
byte posted[LINES];                   // how often a host was shown the completion of this line
byte published;                       // the tail in memory
byte kills;
bool worker_ended;

inline read_whole(head, tail) {
  do
  :: number = committed;
    head = cmd_head[WHICH(number)];
    tail = done_tail[WHICH(number)];
#ifdef NO_RECHECK
    break
#else
    if :: committed == number -> break :: else fi
#endif
  od
}

active proctype worker() {
  byte head, tail, number, line;
restart:
  read_whole(head, tail);
  assert(head == tail);               // what a successor finds is whole
  published = tail;
  do
  :: head == LINES -> break
  :: kills < KILLS -> kills++; goto restart
  :: head < LINES ->
    // The completion goes into a free slot; no host has seen that slot yet.
    number = committed + 1;
    cmd_head[WHICH(number)] = head + 1;
    if :: kills < KILLS -> kills++; goto restart :: true fi;
    done_tail[WHICH(number)] = tail + 1;
    if :: kills < KILLS -> kills++; goto restart :: true fi;
    committed = number;
    if :: kills < KILLS -> kills++; goto restart :: true fi;
    head++;
    tail++;
    published = tail
  od;
  worker_ended = true
}

active proctype host() {
  byte taken = 0;
  do
  :: taken == LINES -> break
  :: taken < published -> posted[taken]++; assert(posted[taken] == 1); taken++
  :: taken > published -> assert(false)   // the tail went back
  od
}

active proctype reader() {
  byte head, tail, number, before = 0, round = 0;
  do
  :: round == 2 -> break
  :: round < 2 ->
    read_whole(head, tail);
    assert(head == tail);
    assert(head >= before);
    before = head;
    round++
  od
}
