// SPDX-License-Identifier: Apache-2.0
//
// From the store, or the system call, that ends a wait on the other CPU to the first instruction of who
// waited. The CPU of who sleeps has other work of lowest priority, so that it never sleeps itself, or
// none.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lab.h"

enum { WAKES = 41, LONG_WAKES = 5, SLOW_POLL_NS = 4000 };
static const uint64_t SHORT_NS = 30000, LONG_NS = 2000000;
static const int64_t SECOND_NS = 1000000000;

typedef struct wait {
  HW_LINE hw_word_t news;
  HW_LINE hw_word_t taken;
  int event;
  uint64_t woken;
} wait_t;

typedef void await_t(wait_t *wait, uint32_t seen);
typedef void signal_t(wait_t *wait);

void poll_loop(wait_t *wait, uint32_t seen);
void slow_poll_loop(wait_t *wait, uint32_t seen);
void yield_loop(wait_t *wait, uint32_t seen);
void futex_loop(wait_t *wait, uint32_t seen);
void eventfd_loop(wait_t *wait, uint32_t seen);

__attribute__((noinline)) void poll_loop(wait_t *wait, uint32_t seen) {
  while (hw_get(&wait->news) == seen) {
    hw_pause();
  }
}

__attribute__((noinline)) void slow_poll_loop(wait_t *wait, uint32_t seen) {
  while (hw_get(&wait->news) == seen) {
    const uint64_t until = hw_now() + SLOW_POLL_NS;
    while (hw_now() < until) {
    }
  }
}

__attribute__((noinline)) void yield_loop(wait_t *wait, uint32_t seen) {
  while (hw_get(&wait->news) == seen) {
    sched_yield();
  }
}

__attribute__((noinline)) void futex_loop(wait_t *wait, uint32_t seen) {
  while (hw_get(&wait->news) == seen) {
    hw_futex_wait(&wait->news, seen, SECOND_NS);
  }
}

__attribute__((noinline)) void eventfd_loop(wait_t *wait, uint32_t seen) {
  uint64_t count;
  while (hw_get(&wait->news) == seen) {
    if (read(wait->event, &count, sizeof count) < 0) {
      fail("eventfd", seen);
    }
  }
}

static void store(wait_t *wait) { hw_put(&wait->news, wait->news + 1u); }

static void store_and_wake(wait_t *wait) {
  store(wait);
  hw_futex_wake(&wait->news);
}

static void store_and_write(wait_t *wait) {
  const uint64_t one = 1;
  store(wait);
  if (write(wait->event, &one, sizeof one) < 0) {
    fail("eventfd", 0);
  }
}

typedef struct waiter {
  wait_t *wait;
  await_t *await;
  uint32_t wakes;
} waiter_t;

static void *wait_for_all(void *argument) {
  const waiter_t *waiter = argument;
  for (uint32_t seen = 0; seen < waiter->wakes; ++seen) {
    waiter->await(waiter->wait, seen);
    waiter->wait->woken = hw_now();
    hw_put(&waiter->wait->taken, seen + 1u);
  }
  return NULL;
}

static hw_word_t idle_work_ends;

static void *busy_work(void *argument) {
  (void)argument;
  while (!hw_get(&idle_work_ends)) {
    hw_pause();
  }
  return NULL;
}

static void *idle_work(void *argument) {
  const struct sched_param lowest = {0};
  if (sched_setscheduler(0, SCHED_IDLE, &lowest)) {
    fail("SCHED_IDLE", 0);
  }
  return busy_work(argument);
}

static int by_size(const void *left, const void *right) {
  const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

// The lower quartile of so many wakes, each after a wait of `asleep` ns: other programs can only delay one.
static double wake(await_t *await, signal_t *tell, uint64_t asleep, uint32_t wakes, int busy) {
  static uint64_t took[WAKES];
  wait_t wait = {.event = eventfd(0, EFD_CLOEXEC)};
  waiter_t waiter = {&wait, await, wakes};
  hw_put(&idle_work_ends, 0);
  if (wait.event < 0) {
    fail("no eventfd", 0);
  }
  const pthread_t thread = lab_start(wait_for_all, &waiter);
  const pthread_t filler = busy ? lab_start(idle_work, NULL) : thread;
  for (uint32_t at = 0; at < wakes; ++at) {
    const uint64_t until = hw_now() + asleep;
    if (asleep == LONG_NS) {
      usleep((useconds_t)(asleep / 1000));
    }
    while (hw_now() < until) {
      hw_pause();
    }
    const uint64_t start = hw_now();
    tell(&wait);
    uint32_t spins = 0;
    while (hw_get(&wait.taken) != at + 1u) {
      give_way(&spins);
    }
    took[at] = wait.woken - start;
  }
  hw_put(&idle_work_ends, 1);
  pthread_join(thread, NULL);
  if (busy) {
    // At the lowest priority it may not run for seconds, and so not end.
    struct sched_param mine;
    int policy;
    pthread_getschedparam(pthread_self(), &policy, &mine);
    pthread_setschedparam(filler, policy, &mine);
    pthread_join(filler, NULL);
  }
  close(wait.event);
  qsort(took, wakes, sizeof *took, by_size);
  return (double)took[wakes / 4];
}

// From one thread to another of the same CPU: two system calls and a change of thread.
typedef struct turn_taking {
  hw_word_t whose;
  uint32_t turns;
} turn_taking_t;

static void take_turns(turn_taking_t *game, uint32_t mine) {
  for (uint32_t turn = 0; turn < game->turns; ++turn) {
    while (hw_get(&game->whose) != mine) {
      hw_futex_wait(&game->whose, 1u - mine, SECOND_NS);
    }
    hw_put(&game->whose, 1u - mine);
    hw_futex_wake(&game->whose);
  }
}

static void *second_player(void *argument) {
  take_turns(argument, 1);
  return NULL;
}

static double handover(void) {
  double least = -1;
  for (int pass = 0; pass < 5; ++pass) {
    turn_taking_t game = {0, 100};
    pthread_t thread;
    run_on(0);
    if (pthread_create(&thread, NULL, second_player, &game)) {
      fail("no thread", 0);
    }
    const uint64_t start = hw_now();
    take_turns(&game, 0);
    const double took = (double)(hw_now() - start) / (2 * game.turns);
    pthread_join(thread, NULL);
    least = least < 0 || took < least ? took : least;
  }
  return least;
}

// What it takes to interrupt the other CPU: sys_membarrier does, and waits for it to take the interrupt.
static double interrupt(void) {
  enum { TIMES = 41 };
  static uint64_t took[TIMES];
  hw_put(&idle_work_ends, 0);
  if (!hw_fence_register()) {
    lab_not_observable("expected a kernel with sys_membarrier, by which the lab interrupts a CPU");
  }
  const pthread_t filler = lab_start(busy_work, NULL);
  for (int at = 0; at < TIMES; ++at) {
    const uint64_t until = hw_now() + SHORT_NS;
    while (hw_now() < until) {
      hw_pause();
    }
    const uint64_t start = hw_now();
    hw_fence_all();
    took[at] = hw_now() - start;
  }
  hw_put(&idle_work_ends, 1);
  pthread_join(filler, NULL);
  qsort(took, TIMES, sizeof *took, by_size);
  return (double)took[TIMES / 4];
}

static double poll(void) { return wake(poll_loop, store, SHORT_NS, WAKES, 0); }
static double poll_again(void) { return wake(poll_loop, store, SHORT_NS, WAKES, 0); }
static double slow_poll(void) { return wake(slow_poll_loop, store, SHORT_NS, WAKES, 0); }
static double yield(void) { return wake(yield_loop, store, SHORT_NS, WAKES, 0); }
static double futex(void) { return wake(futex_loop, store_and_wake, SHORT_NS, WAKES, 1); }
static double eventfd_(void) { return wake(eventfd_loop, store_and_write, SHORT_NS, WAKES, 1); }
static double futex_nap(void) { return wake(futex_loop, store_and_wake, SHORT_NS, WAKES, 0); }
static double futex_sleep(void) { return wake(futex_loop, store_and_wake, LONG_NS, LONG_WAKES, 0); }

int main(int count, char **arguments) {
  static const lab_variant_t variants[] = {
      {"poll", poll},
      {"poll, again", poll_again},
      {"poll each 4 us", slow_poll},
      {"sched_yield", yield},
      {"futex, CPU awake", futex},
      {"eventfd, CPU awake", eventfd_},
      {"futex, CPU idle 30 us", futex_nap},
      {"futex, CPU idle 2 ms", futex_sleep},
      {"handover on one CPU", handover},
      {"interrupt to the other CPU", interrupt},
  };
  return lab_main(count, arguments, variants, sizeof variants / sizeof *variants);
}
