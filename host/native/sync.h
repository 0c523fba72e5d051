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

// A test that breaks what is waited for makes the waits shorter.
#ifndef HW_PATIENCE_DIVISOR
#define HW_PATIENCE_DIVISOR 1
#endif
#define HW_PATIENCE_NS(milliseconds) ((milliseconds) * 1000ll * 1000 / HW_PATIENCE_DIVISOR)
// And one that has little time spins less often before it sleeps.
#ifndef HW_SPIN_DIVISOR
#define HW_SPIN_DIVISOR HW_PATIENCE_DIVISOR
#endif
#ifndef HW_SPINS
#define HW_SPINS(count) ((count) / HW_SPIN_DIVISOR)
#endif

// check/guard_watch.c watches the thread from the one to the other: no allocation, system call or page fault
// may occur there. Entering twice is entering once.
#ifdef HW_GUARD
void hw_guard_enter(const char *region);
void hw_guard_leave(void);
#else
static inline void hw_guard_enter(const char *region) { (void)region; }
static inline void hw_guard_leave(void) {}
#endif

// check/fibers.c runs the threads in turn, and switches at loads and stores of shared words.
#ifdef HW_FIBERS
extern uint32_t hw_points_left;
void hw_point_reached(void);
static inline void hw_point(void) {
  if (--hw_points_left == 0) {
    hw_point_reached();
  }
}
#else
static inline void hw_point(void) {}
#endif

static inline uint32_t hw_get(hw_word_t *word) {
  hw_point();
  return atomic_load_explicit(word, memory_order_acquire);
}

static inline void hw_put(hw_word_t *word, uint32_t value) {
  hw_point();
  atomic_store_explicit(word, value, memory_order_release);
}

static inline void hw_pause(void) {
#if defined(HW_FIBERS)
  sched_yield();
#elif defined(__x86_64__) || defined(__i386__)
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

// Sleeping and waking: who publishes stores its news and then loads `sleeping`; who goes to sleep
// stores `sleeping` and then looks for news. One of the two must see the other's store, so each needs
// a full fence in between, and one on the side that publishes would cost every line the time in which
// its stores reach the other CPU. Sleeping is rare: the sleeper fences for both, with
// sys_membarrier, which runs a full fence on every CPU that runs a thread of a registered process.
// Where a kernel does not offer it, `fenced` in the segment makes those who publish fence as well.
// host/native/models/sleep.pml checks both against store buffers.

// 1 if this process can fence for others from now on.
int hw_fence_register(void);
extern hw_word_t hw_fences_for_others;
// The other half of hw_fence_all within this process: keeps the compiler from moving a load before a
// store, and leaves the CPU to hw_fence_all.
static inline void hw_light_fence(void) {
  if (atomic_load_explicit(&hw_fences_for_others, memory_order_relaxed)) {
    atomic_signal_fence(memory_order_seq_cst);
  } else {
    atomic_thread_fence(memory_order_seq_cst);
  }
}
// The sleeper's fence, between its announcement and its look; as good as atomic_thread_fence where
// hw_fence_register has returned 0.
void hw_fence_all(void);

// Wake whoever sleeps on `wake` if somebody does; the caller has just published something. The kernel
// may put the sleeper on this very core, where a caller that goes on to spin would keep it waiting for
// a whole time slice: so the caller gives way once.
static inline void hw_rouse(hw_word_t *fenced, hw_word_t *wake, hw_word_t *sleeping) {
  if (atomic_load_explicit(fenced, memory_order_relaxed)) {
    atomic_thread_fence(memory_order_seq_cst);
  } else {
    atomic_signal_fence(memory_order_seq_cst);
  }
  if (atomic_load_explicit(sleeping, memory_order_relaxed)) {
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

// The same where one thread at a time calls, without locked instructions, which would wait for the
// lines that were just written to reach the other CPU.
static inline void hw_leave_alone(hw_callers_t *callers) {
  hw_put(&callers->inside, 0);
  if (hw_get(&callers->closed)) {
    hw_futex_wake(&callers->inside);
  }
}

static inline int hw_enter_alone(hw_callers_t *callers) {
  atomic_store_explicit(&callers->inside, 1, memory_order_relaxed);
  hw_light_fence();
  if (hw_get(&callers->closed)) {
    hw_leave_alone(callers);
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
