// SPDX-License-Identifier: Apache-2.0
//
// Words that threads and processes share: loads and stores with the order that a ring needs, the
// clock, sleeping and waking, and a lock to spin on.
#ifndef HW_SYNC_H
#define HW_SYNC_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint32_t hw_word_t;

static inline uint32_t hw_get(hw_word_t *word) {
  return atomic_load_explicit(word, memory_order_acquire);
}

static inline void hw_put(hw_word_t *word, uint32_t value) {
  atomic_store_explicit(word, value, memory_order_release);
}

static inline void hw_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// The calls that are inside an object at the moment, so that closing it can wake them, wait for the
// last and only then take away what they use. Memory of the object itself outlives the close: a
// call that comes late finds it closed.
typedef struct hw_callers {
  _Alignas(64) hw_word_t inside;
  hw_word_t closed;
} hw_callers_t;

uint64_t hw_now(void);
void hw_futex_wait(hw_word_t *word, uint32_t expected, int64_t timeout_ns);
void hw_futex_wake(hw_word_t *word);
// Wake whoever sleeps on `wake` if somebody does. The caller has just made its news visible with a
// sequentially consistent read-modify-write; the sleeper announces itself with one before it looks.
// The kernel may put the sleeper on this very core, where a caller that goes on to spin would keep
// it waiting for a whole time slice: so the caller gives way once.
static inline void hw_rouse(hw_word_t *wake, hw_word_t *sleeping) {
  if (atomic_load(sleeping)) {
    atomic_fetch_add(wake, 1);
    hw_futex_wake(wake);
    sched_yield();
  }
}

static inline void hw_leave(hw_callers_t *callers) {
  if (atomic_fetch_sub(&callers->inside, 1) == 1 && hw_get(&callers->closed)) {
    hw_futex_wake(&callers->inside);
  }
}

// 1, to be paired with hw_leave; 0: it is closed.
static inline int hw_enter(hw_callers_t *callers) {
  atomic_fetch_add(&callers->inside, 1);
  if (atomic_load(&callers->closed)) {
    hw_leave(callers);
    return 0;
  }
  return 1;
}

// Wait for the last caller; `closed` is set and who waits inside was woken.
void hw_await_callers(hw_callers_t *callers);

static inline void hw_spin_lock(hw_word_t *lock) {
  while (atomic_exchange_explicit(lock, 1, memory_order_acquire)) {
    for (int spin = 0; hw_get(lock); ++spin) {
      if (spin < 100) {
        hw_pause();
      } else {
        sched_yield();  // its holder may want this very core
      }
    }
  }
}

static inline void hw_spin_unlock(hw_word_t *lock) { hw_put(lock, 0); }

#endif  // HW_SYNC_H
