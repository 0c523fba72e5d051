// SPDX-License-Identifier: Apache-2.0
//
// The gate (gate.c, worker.c: pass_gate): while a host holds it closed, no worker uses the rings, and
// what it then changes is what every worker uses afterwards. A worker may sleep; a host may close the
// gate again at once.
//
//   NO_ACK  the host does not wait for the workers: must fail
//   STALE   a worker does not read the configuration again behind the gate: must fail
//
// CHECK: holds -DWORKERS=1 -DCLOSINGS=2
// NIGHTLY: holds -DWORKERS=2 -DCLOSINGS=1
// NIGHTLY: fails -DWORKERS=1 -DCLOSINGS=2 -DNO_ACK
// NIGHTLY: fails -DWORKERS=1 -DCLOSINGS=2 -DSTALE
// NIGHTLY: holds -DWORKERS=2 -DCLOSINGS=3

byte gate;                            // odd: closed
byte ack[WORKERS];
byte configuration;                   // changed by the host behind the gate
bool inside[WORKERS];                 // a worker is in a batch
bool host_ended;

active [WORKERS] proctype worker() {
  byte own = 255, seen, mine, known;
  mine = _pid;
  do
  :: host_ended -> break
  :: else ->
    seen = gate;
    if
    :: seen != own ->
      do
      :: seen % 2 == 1 ->
        ack[mine] = seen;
        (gate != seen);               // spins, then sleeps on the gate
        seen = gate
      :: else -> break
      od;
#ifdef STALE
      if :: own == 255 -> known = configuration :: else fi;
#else
      known = configuration;
#endif
      own = seen
    :: else ->
      inside[mine] = true;
      assert(gate % 2 == 0 || ack[mine] != gate);   // it has not promised to stand still
      assert(known == configuration);
      inside[mine] = false
    fi
  od
}

active proctype host() {
  byte closing = 0, closed, at;
  do
  :: closing == CLOSINGS -> break
  :: closing < CLOSINGS ->
    gate++;
    closed = gate;
#ifndef NO_ACK
    at = 0;
    do
    :: at == WORKERS -> break
    :: at < WORKERS -> (ack[at] == closed); at++
    od;
#endif
    at = 0;
    do
    :: at == WORKERS -> break
    :: at < WORKERS -> assert(!inside[at]); at++
    od;
    configuration++;
    gate++;
    closing++
  od;
  host_ended = true
}
