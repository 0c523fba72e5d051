// SPDX-License-Identifier: Apache-2.0
//
// The clock, and sleeping on a word.
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sync.h"

static const int64_t AWAIT_NS = 1000 * 1000;  // one who leaves wakes only the last one's waiter

uint64_t hw_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void hw_futex_wait(hw_word_t *word, uint32_t expected, int64_t timeout_ns) {
  struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
  syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0);
}

void hw_futex_wake(hw_word_t *word) {
  syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

hw_word_t hw_fences_for_others;

int hw_fence_register(void) {
  // Whether a forked child is registered as its parent was is not documented; twice does no harm.
  hw_put(&hw_fences_for_others,
         syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0);
  return (int)hw_get(&hw_fences_for_others);
}

void hw_fence_all(void) {
  atomic_thread_fence(memory_order_seq_cst);
  if (hw_get(&hw_fences_for_others)) {
    syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
  }
}

void hw_await_callers(hw_callers_t *callers) {
  hw_fence_all();  // see hw_enter_alone
  for (uint32_t inside; (inside = atomic_load(&callers->inside)) != 0;) {
    hw_futex_wait(&callers->inside, inside, AWAIT_NS);
  }
}
