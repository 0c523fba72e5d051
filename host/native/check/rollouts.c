// SPDX-License-Identifier: Apache-2.0
//
// Stress of whole runs: random configurations and requests, cancellations, failed scorers, and a device
// that is executed in place or, in one run of 64, a worker thread that is stopped and started again
// while the run waits, another reads the live page, and worker and ticks are traced. The event log is followed by accounts of its own: no rollout is lost, none
// ends twice, no slot has two, tags are those that were written, and nothing is held at the end.
// Usage: rollouts ROLLOUTS [SEED]. Exit code 0: all as it must be.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "fast_crc.h"
#include "rollouts/pipe.h"
#include "rollouts_watch.h"
#include "segment.h"

enum { MOST = 2048, PROMPT = 100, MORE = 160, LOG2 = 10, OFFSET = 8192, WINDOW = 1 << 18 };

static uint64_t seed, dice;

static uint32_t roll(uint32_t below) {
  dice ^= dice << 13;
  dice ^= dice >> 7;
  dice ^= dice << 17;
  return (uint32_t)((dice >> 32) * below >> 32);
}

static uint32_t pick(const uint32_t *values, uint32_t count) { return values[roll(count)]; }
#define PICK(...) pick((const uint32_t[]){__VA_ARGS__}, \
                       sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void need(int holds, const char *what, uint32_t rollout) {
  if (!holds) {
    fprintf(stderr, "rollouts: seed %llu, rollout %u: %s\n", (unsigned long long)seed, rollout, what);
    exit(1);
  }
}

// What the log has told of each rollout, and of each slot.
typedef struct account {
  uint32_t slot;
  uint32_t outcome;  // 0: none yet
  uint32_t length;
  uint8_t admitted;
  uint8_t delivered;
} account_t;

typedef struct run {
  hwr_config_t config;
  hwr_request_t request[MOST];
  account_t account[MOST];
  uint32_t holder[HWR_SLOTS_MAX];  // of each slot; HWR_NONE: none
  uint32_t requests;
  uint32_t live;
  hr_pipe_t *pipe;
} run_t;

static run_t run;
static trace_t ticks, lines_of_worker;
static watch_t watch;

static void make_run(void) {
  const uint32_t samples = 1 + roll(16);
  run.requests = 1 + roll(MOST);
  uint32_t most = 1;
  for (uint32_t at = 0; at < run.requests; ++at) {
    hwr_request_t *asked = &run.request[at];
    const uint32_t group = at / samples;
    const uint32_t prompt = at % samples ? run.request[at - 1].prompt_tokens : 1 + roll(PROMPT);
    *asked = (hwr_request_t){.group = group * 7919u % 65536u,
                             .sample = at % samples,
                             .prompt_tokens = prompt,
                             .max_tokens = prompt + (roll(8) ? roll(MORE) : 0),
                             .arrival = roll(2) ? 0 : roll(200),
                             .cancel = roll(4) ? HWR_NONE : roll(300),
                             .rank = (int64_t)roll(100) - 50};
    const uint32_t need_blocks =
        hr_blocks_of(prompt) + hr_need(prompt, asked->max_tokens);
    most = need_blocks > most ? need_blocks : most;
    run.account[at] = (account_t){.slot = HWR_NONE};
  }
  run.config = (hwr_config_t){.slots = PICK(1, 4, 64, 256, 1024),
                              .decode_credits = PICK(HWR_NONE, 1, 16, 200),
                              .reward_credits = PICK(HWR_NONE, 1, 8),
                              .trajectory_credits = PICK(HWR_NONE, 1, 8),
                              .kv_blocks = PICK(most, 2 * most, 512, 4096),
                              .window = PICK(1, 8, 32, 256),
                              .depth = PICK(1, 2, 5, 16),
                              .ring_slots = PICK(2, 64, 512, 1024),
                              .policy = roll(HWR_POLICY_CUSTOM + 1),
                              .overtake = PICK(HWR_NONE, 0, 2, 50),
                              .scorer = PICK(0, 1, 2),
                              .score_ticks = PICK(1, 3, 9),
                              .deliver = PICK(HWR_NONE, 1, 16),
                              .seats = PICK(HWR_NONE, 1, 32),
                              .staleness = PICK(0, 1, 4),
                              .options = roll(16)};
  if (run.config.kv_blocks < most) {
    run.config.kv_blocks = most;
  }
  run.live = 0;
  memset(run.holder, 0xFF, sizeof run.holder);
}

static uint64_t digest_of(const hwr_request_t *asked, uint32_t request, uint32_t length) {
  uint64_t digest = 0;
  for (uint64_t token = 0; token < length; ++token) {
    const uint64_t base = token < asked->prompt_tokens
                              ? HWR_PROMPT_TAG + ((uint64_t)asked->group << 32)
                              : (uint64_t)request << 32;
    digest += (base + token) * (2 * token + 1u);
  }
  return digest;
}

static void follow(const hwr_record_t *event) {
  const uint32_t rollout = event->rollout;
  account_t *account = rollout < run.requests ? &run.account[rollout] : NULL;
  switch (event->code) {
    case HWR_EVENT_ADMIT:
      need(!account->admitted && !account->outcome, "admitted twice, or after its end", rollout);
      need(run.holder[event->slot] == HWR_NONE, "a slot with two rollouts", rollout);
      account->admitted = 1;
      account->slot = event->slot;
      run.holder[event->slot] = rollout;
      ++run.live;
      break;
    case HWR_EVENT_STATE:
      need(run.holder[event->slot] == rollout, "a slot that is another's", rollout);
      if (event->b == HWR_STATE_DONE) {
        need(account->admitted && !account->outcome, "ended twice", rollout);
        account->outcome = 1 + event->c;
      } else if (event->b == HWR_STATE_FREE) {
        need(account->outcome != 0, "freed before its end", rollout);
        run.holder[event->slot] = HWR_NONE;
        --run.live;
      }
      break;
    case HWR_EVENT_CANCEL:
      need(!account->outcome, "cancelled after its end", rollout);
      if (event->a == 0) {
        need(!account->admitted, "cancelled as not admitted", rollout);
        account->outcome = 2;
      }
      break;
    case HWR_EVENT_COMPLETION:
      need(run.holder[event->slot] == rollout && !account->outcome,
           "a completion of who has ended", rollout);
      break;
    case HWR_EVENT_TRAJECTORY:
      need(account->outcome == 1 && !account->delivered, "delivered twice, or not", rollout);
      need(event->a == run.request[rollout].max_tokens, "delivered too short", rollout);
      account->delivered = 1;
      if (run.config.options & HWR_OPTION_CHECK_KV) {
        need(event->d == digest_of(&run.request[rollout], rollout, event->a),
             "tags that were not written for it", rollout);
      }
      break;
    default: break;
  }
}

static void follow_tick(void) {
  uint64_t count;
  const hwr_record_t *log = hr_pipe_log(run.pipe, &count);
  for (uint64_t at = 0; at < count; ++at) {
    follow(&log[at]);
  }
}

// In each queue or in service, and nobody in two.
static void check_places(void) {
  hr_usage_t usage;
  hr_pipe_usage(run.pipe, &usage);
  uint32_t queued = 0;
  for (int queue = 0; queue < 6; ++queue) {
    queued += usage.queue[queue];
  }
  uint32_t scored = 0;
  for (uint32_t at = 0; at < run.config.score_ticks; ++at) {
    scored += run.pipe->batch[at].count;
  }
  need(queued + usage.in_flight + scored == run.config.slots, "not in just one queue", HWR_NONE);
  need(usage.live == run.live, "slots in use are not those of the log", HWR_NONE);
}

// The ticks' events are those of the log.
static void check_trace(void) {
  uint64_t admitted = 0, delivered = 0;
  for (uint32_t at = 0; at < run.requests; ++at) {
    admitted += run.account[at].admitted;
    delivered += run.account[at].delivered;
  }
  need(ticks.of[HWR_TRACE_ALLOC] == admitted, "rollouts that were admitted without an event", HWR_NONE);
  need(ticks.of[HWR_TRACE_TRAJECTORY_DONE] == delivered, "deliveries without an event", HWR_NONE);
  need(ticks.of[HWR_TRACE_ENDED] == admitted - delivered, "other ends without an event", HWR_NONE);
  need(ticks.of[HWR_TRACE_POSTED] == ticks.of[HWR_TRACE_POLLED], "lines that never came back", HWR_NONE);
}

static void step_in_place(void) {
  static hw_desc_t lines[HWR_WINDOW_MAX];
  static uint32_t words[HWR_SLOTS_MAX];
  uint32_t count, scores;
  hr_pipe_due(run.pipe, &count, &scores);
  const hr_flight_t *flight = &run.pipe->flight[run.pipe->tick % run.config.depth];
  for (uint32_t at = 0; at < count; ++at) {
    lines[at] = flight->lines[at];
    hw_worker_step(&lines[at], at, 0);
  }
  for (uint32_t at = 0; at < scores; ++at) {
    words[at] = roll(1000);
  }
  const int error = hr_pipe_step(run.pipe, lines, count, scores && roll(50) == 0 ? NULL : words);
  need(error == 0, "a tick failed", (uint32_t)-error);
  follow_tick();
  check_places();
}

typedef struct meddler {
  hw_device_t *device;
  hw_word_t stop;
} meddler_t;

// Kill the worker between any two of its batches, and let another take over.
static void *meddle(void *argument) {
  meddler_t *meddler = argument;
  while (!hw_get(&meddler->stop)) {
    hd_stop_workers(meddler->device);
    trace_look(&lines_of_worker);
    for (int turn = 0; turn < 20; ++turn) {
      sched_yield();
    }
    if (hd_start_workers(meddler->device, 1) || hd_trace(meddler->device, 0, &lines_of_worker.ring)) {
      need(0, "a worker that does not start again", HWR_NONE);
    }
    for (int turn = 0; turn < 50; ++turn) {
      sched_yield();
    }
  }
  return NULL;
}

static void run_over_a_worker(void) {
  uint8_t *segment = aligned_alloc(4096, OFFSET + WINDOW);
  need(segment != NULL, "no memory for a device", HWR_NONE);
  memset(segment, 0, OFFSET + WINDOW);
  const uint64_t slots = (uint64_t)HW_DESC_BYTES << LOG2;
  const hd_geometry_t rings = {128, 256 + slots, 0, LOG2 | LOG2 << 8, 0};
  need(hd_format(segment, OFFSET + WINDOW, OFFSET, WINDOW, roll(1u << 31) * 2u) == 0,
       "cannot format", HWR_NONE);
  hw_device_t *device = hd_open(segment, OFFSET + WINDOW);
  hd_start_workers(device, 1);
  hd_write32(device, HW_REG_RING_LOG2, rings.ring_log2, INT64_MAX);
  hd_write32(device, HW_REG_CMD_BASE_LO, (uint32_t)rings.cmd_base, INT64_MAX);
  hd_write32(device, HW_REG_DONE_BASE_LO, (uint32_t)rings.done_base, INT64_MAX);
  hd_write32(device, HW_REG_CTRL, HW_BIT(HW_CTRL_ENABLE_BIT), INT64_MAX);
  int failure;
  hw_queue_t *queue = hq_open(device, &rings, INT64_MAX, &failure);
  trace_begin(&ticks);
  trace_begin(&lines_of_worker);
  hr_pipe_trace(run.pipe, &ticks.ring);
  watch_begin(&watch, run.pipe, run.config.slots);
  meddler_t meddler = {.device = device};
  pthread_t thread;
  pthread_create(&thread, NULL, meddle, &meddler);
  while (!hr_pipe_finished(run.pipe)) {
    const uint32_t before = hr_pipe_tick(run.pipe);
    const int error = hr_pipe_run(run.pipe, queue, 1, 1000ll * 1000 * 50);
    need(error == 0 || error == HR_TIMEOUT, "a tick over the rings failed", (uint32_t)-error);
    if (hr_pipe_tick(run.pipe) != before) {
      follow_tick();
      check_places();
      trace_look(&ticks);
    }
  }
  hw_put(&meddler.stop, 1);
  pthread_join(thread, NULL);
  watch_end(&watch, run.pipe);
  check_trace();
  hq_close(queue);
  hq_free(queue);
  hd_close(device);
  hd_free(device);
  free(segment);
}

static uint32_t one_run(uint32_t number) {
  seed = seed * 6364136223846793005ull + 2 * (uint64_t)number + 1u;
  dice = (seed ^ seed >> 32) * 0x9E3779B97F4A7C15ull;
  dice += dice == 0;
  make_run();
  int error;
  run.pipe = hr_pipe_open(&run.config, run.request, run.requests, NULL, 0, &error);
  need(run.pipe != NULL, "cannot open", (uint32_t)-error);
  const int threaded = number % 64 == 0;
  if (threaded) {
    run_over_a_worker();
  }
  const uint32_t given_up = roll(20) || threaded ? HWR_NONE : roll(100);
  while (!hr_pipe_finished(run.pipe) && run.pipe->tick < given_up) {
    step_in_place();
  }
  hr_usage_t usage;
  if (!hr_pipe_finished(run.pipe)) {
    hr_pipe_abandon(run.pipe);
  } else {
    for (uint32_t at = 0; at < run.requests; ++at) {
      const account_t *account = &run.account[at];
      need(account->outcome != 0, "never ended", at);
      need((account->outcome == 1) == account->delivered, "ended as delivered, and was not", at);
    }
    need(run.live == 0, "slots are left", HWR_NONE);
  }
  hr_pipe_usage(run.pipe, &usage);
  need(usage.queue[HWR_QUEUE_FREE] == run.config.slots && !usage.blocks && !usage.reserved &&
           !usage.decode && !usage.reward && !usage.trajectory && !usage.nodes && !usage.in_flight,
       "something is held at the end", HWR_NONE);
  for (uint32_t block = 0; block < run.config.kv_blocks; ++block) {
    need(hr_bits_has(&run.pipe->arena->free, block), "a block that is not free", block);
  }
  hr_pipe_close(run.pipe);
  return run.requests;
}

int main(int count, char **arguments) {
  const uint64_t wanted = count > 1 ? strtoull(arguments[1], NULL, 10) : 100000;
  seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
  uint64_t done = 0;
  uint32_t runs = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (; done < wanted; ++runs) {
    done += one_run(runs);
  }
  printf("rollouts: %llu in %u runs: none lost, none twice, nothing held\n",
         (unsigned long long)done, runs);
  return wanted == 0;
}
