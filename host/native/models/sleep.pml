// SPDX-License-Identifier: Apache-2.0
//
// Sleeping and waking (sync.h: hw_rouse, hw_fence_all), with store buffers as on x86-64, which is also
// what Arm64 may do with a store and a later load of another address. A publisher stores its news and
// loads `sleeping`; a sleeper announces itself, fences, looks for news and waits on the futex. No run
// may end with the sleeper asleep and news that it has not seen.
//
//   default   the publisher has no fence; the sleeper fences for both (sys_membarrier)
//   FENCED    no sys_membarrier: the publisher fences, and the sleeper for itself alone
//   NO_FENCE  neither: the model must show the lost wake-up
//   LATE_FENCE the sleeper looks before it fences: likewise
//
// CHECK: holds -DNEWS=2
// CHECK: holds -DNEWS=2 -DFENCED
// CHECK: fails -DNEWS=2 -DNO_FENCE
// NIGHTLY: fails -DNEWS=2 -DLATE_FENCE
// NIGHTLY: holds -DNEWS=6
// NIGHTLY: holds -DNEWS=6 -DFENCED

byte tail;         // what the sleeper can see
byte pending;      // the publisher's stores of `tail` that are still in its store buffer
byte sleeping;
byte wake;         // the futex word
bool asleep;
byte taken;

// The hardware empties the buffer whenever it likes, oldest store first.
active proctype store_buffer() {
  end:
  do
  :: atomic { pending > 0 -> pending--; tail++ }
  od
}

active proctype publisher() {
  byte at = 0;
  do
  :: at < NEWS ->
    pending++;                        // hw_put(tail)
    at++;
#ifdef FENCED
    (pending == 0);                   // atomic_thread_fence
#endif
    if
    :: sleeping > 0 ->                // the load may be done before the store has left the buffer
      (pending == 0);                 // atomic_fetch_add is a fence, too late for the load above
      wake++;
      asleep = false                  // futex wake
    :: else
    fi
  :: at == NEWS -> break
  od
}

active proctype sleeper() {
  byte seen;
  do
  :: taken == NEWS -> break
  :: taken != NEWS && taken != tail -> taken = tail
  :: taken != NEWS && taken == tail ->
    seen = wake;
    sleeping++;
#ifdef LATE_FENCE
    if :: taken != tail -> goto awake :: else fi;
#endif
#ifndef NO_FENCE
#ifndef FENCED
    atomic { tail = tail + pending; pending = 0 }   // sys_membarrier: the publisher's CPU fences
#endif
#endif
#ifndef LATE_FENCE
    if :: taken != tail -> goto awake :: else fi;
#endif
    atomic {                          // futex wait: compares and sleeps in one step
      if
      :: wake == seen -> asleep = true
      :: else
      fi
    }
    (!asleep);                        // an invalid end state where nobody wakes it
  awake:
    sleeping--
  od
}
