// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "fibers.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#include "sync.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#else
static void __sanitizer_start_switch_fiber(void **fake, const void *stack, size_t bytes) {
  (void)fake, (void)stack, (void)bytes;
}
static void __sanitizer_finish_switch_fiber(void *fake, const void **stack, size_t *bytes) {
  (void)fake, (void)stack, (void)bytes;
}
#endif

enum { FIBERS = 8, STACK = 256 << 10, POINTS = 256 };
static const uint64_t POINT_NS = 20;  // of the fibers' clock, from one point to the next
static const uint64_t YIELD_NS = 500;

typedef struct fiber {
  enum { UNUSED, READY, WAITING, ENDED } state;
  ucontext_t context;
  void *stack;
  void *fake;  // AddressSanitizer's
  size_t bytes;
  void *(*routine)(void *);
  void *argument;
  const void *word;  // it waits on
  uint64_t deadline;
} fiber_t;

uint32_t hw_points_left = POINTS;

static fiber_t fibers[FIBERS] = {{.state = READY}};  // [0]: who has called
static int current;
static uint64_t now, state = 1;
static uint32_t drawn = POINTS;
static void (*at_point)(void);
static void (*late)(void);
static uint64_t limit;

static uint32_t draw(void) {  // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)(state * 2685821657736338717ull >> 32);
}

// Bring the clock up to date, and draw the number of points to the next switch.
static void redraw(void) {
  now += (drawn - hw_points_left) * POINT_NS;
  hw_points_left = drawn = 1u + draw() % POINTS;
}

void fiber_begin(uint64_t seed, void (*hook)(void)) {
  state = seed * 0x9E3779B97F4A7C15ull | 1u;
  at_point = hook;
  redraw();
}

void fiber_limit(uint64_t deadline_ns, void (*hook)(void)) {
  limit = deadline_ns;
  late = hook;
}

static void arrive(void) {
  fiber_t *fiber = &fibers[current];
  const void *stack;
  size_t bytes;
  __sanitizer_finish_switch_fiber(fiber->fake, &stack, &bytes);
  if (fibers[0].bytes == 0) {  // the first switch comes from there
    fibers[0].stack = (void *)(uintptr_t)stack;
    fibers[0].bytes = bytes;
  }
}

// Run a random one of those that can go on; the clock leaps if none can. Returns when this fiber goes
// on.
static void leave(void) {
  int ready[FIBERS], count = 0, first = -1;
  for (int at = 0; at < FIBERS; ++at) {
    fiber_t *fiber = &fibers[at];
    if (fiber->state == WAITING && fiber->deadline <= now) {
      fiber->state = READY;
    }
    if (fiber->state == READY) {
      ready[count++] = at;
    } else if (fiber->state == WAITING && (first < 0 || fiber->deadline < fibers[first].deadline)) {
      first = at;
    }
  }
  if (count == 0) {
    now = fibers[first].deadline;
    fibers[first].state = READY;
    ready[count++] = first;
  }
  if (limit && now > limit) {
    limit = 0;
    late();
  }
  const int next = ready[draw() % (uint32_t)count];
  if (next == current) {
    return;
  }
  fiber_t *from = &fibers[current], *to = &fibers[next];
  current = next;
  __sanitizer_start_switch_fiber(from->state == ENDED ? NULL : &from->fake, to->stack, to->bytes);
  swapcontext(&from->context, &to->context);
  arrive();
}

void hw_point_reached(void) {
  redraw();
  if (at_point && draw() % 4u == 0) {
    at_point();
  }
  leave();
}

int fiber_yield(void) {
  redraw();
  now += YIELD_NS;
  leave();
  return 0;
}

static void body(void) {
  arrive();
  fiber_t *fiber = &fibers[current];
  fiber->routine(fiber->argument);
  fiber->state = ENDED;
  leave();
}

// The first fiber that is free; 0 if there is none.
static int unused(void) {
  for (int at = 1; at < FIBERS; ++at) {
    if (fibers[at].state == UNUSED) {
      return at;
    }
  }
  return 0;
}

int fiber_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*routine)(void *),
                 void *argument) {
  (void)attributes;
  *thread = (pthread_t)unused();
  if (*thread == 0) {
    return EAGAIN;
  }
  fiber_t *fiber = &fibers[*thread];
  if (!fiber->stack) {
    fiber->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fiber->bytes = STACK;
  }
  fiber->fake = NULL;
  fiber->routine = routine;
  fiber->argument = argument;
  fiber->state = READY;
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = fiber->stack;
  fiber->context.uc_stack.ss_size = STACK;
  makecontext(&fiber->context, body, 0);
  return 0;
}

int fiber_join(pthread_t thread, void **value) {
  (void)value;
  while (fibers[thread].state != ENDED) {
    fiber_yield();
  }
  fibers[thread].state = UNUSED;
  return 0;
}

int fiber_clock_gettime(clockid_t clock, struct timespec *time) {
  (void)clock;
  redraw();
  time->tv_sec = (time_t)(now / 1000000000u);
  time->tv_nsec = (long)(now % 1000000000u);
  return 0;
}

static long futex(hw_word_t *word, int operation, uint32_t expected, const struct timespec *timeout) {
  if (operation == FUTEX_WAKE) {
    for (int at = 0; at < FIBERS; ++at) {
      if (fibers[at].state == WAITING && fibers[at].word == word) {
        fibers[at].state = READY;
      }
    }
    return 0;
  }
  if (atomic_load(word) == expected) {
    redraw();
    fibers[current].state = WAITING;
    fibers[current].word = word;
    fibers[current].deadline =
        now + (uint64_t)timeout->tv_sec * 1000000000u + (uint64_t)timeout->tv_nsec;
    leave();
  }
  return 0;
}

// Of the calls that sync.c makes.
long fiber_syscall(long number, ...) {
  if (number != SYS_futex) {
    return 0;  // sys_membarrier: there is one CPU
  }
  va_list arguments;
  va_start(arguments, number);
  hw_word_t *word = va_arg(arguments, hw_word_t *);
  const int operation = va_arg(arguments, int);
  const uint32_t value = va_arg(arguments, uint32_t);
  const struct timespec *timeout = va_arg(arguments, const struct timespec *);
  va_end(arguments);
  return futex(word, operation, value, timeout);
}
