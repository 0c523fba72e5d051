// SPDX-License-Identifier: Apache-2.0
//
// The clock, and sleeping on a word.
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
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

void hw_await_callers(hw_callers_t *callers) {
  for (uint32_t inside; (inside = atomic_load(&callers->inside)) != 0;) {
    hw_futex_wait(&callers->inside, inside, AWAIT_NS);
  }
}
