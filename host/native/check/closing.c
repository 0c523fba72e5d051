// SPDX-License-Identifier: Apache-2.0
//
// Closes queues and devices while another thread is inside a call, for sanitizers. Whatever the call
// uses is taken away as soon as the close has returned, so a call that is still in there is a use
// after free. Usage: closing [ROUNDS [SEED [KIND]]], rounds of each call on each kind of device, or on
// KIND alone: threads, 'shared memory', remote. Pieces with other seeds add up. Exit code 0: every call
// ended, and reported that it found its queue or device closed.
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "segment.h"

enum { WINDOW = 1 << 14, OFFSET = 8192, BYTES = OFFSET + WINDOW };
static const hd_geometry_t RINGS = {128, 4096 + 128, 8192 + 128, 4u | 4u << 8 | 4u << 16, 1};
static const int64_t LONG = 600ll * 1000 * 1000 * 1000;
// A close that takes longer has not woken its waiters.
static const uint64_t CLOSE_NS = 120ull * 1000 * 1000 * 1000;

typedef enum kind { THREADS, PROCESS, REMOTE, KINDS } kind_t;
static const char *const KIND_NAMES[KINDS] = {"threads", "shared memory", "remote"};

typedef struct trial {
  hw_device_t *device;
  hw_queue_t *queue;
  hw_word_t inside;  // 1: the thread is about to call
  int64_t last;
} trial_t;

static int64_t poll_done(trial_t *trial) {
  hw_desc_t lines[4];
  return hq_poll(trial->queue, 0, lines, 4, LONG);
}
static int64_t poll_reward(trial_t *trial) {
  hw_desc_t lines[4];
  return hq_poll(trial->queue, 1, lines, 4, LONG);
}
static int64_t there_and_back(trial_t *trial) {
  const hw_desc_t lines[3] = {{.opcode = HW_OPCODE_NOP}, {.opcode = HW_OPCODE_NOP}};
  hw_desc_t back[3];
  const int64_t sent = hq_submit(trial->queue, lines, 3);
  const int64_t taken = sent < 0 ? sent : hq_poll(trial->queue, 0, back, 3, 1000);
  return taken;
}
static int64_t submit_decode(trial_t *trial) {
  return hq_submit_decode(trial->queue, 1, 2, 3, 4, 5, 6, 7);
}
static int64_t room(trial_t *trial) { return hq_room(trial->queue); }
static int64_t ready(trial_t *trial) { return hq_ready(trial->queue, 1); }
static int64_t wait(trial_t *trial) { return hd_wait(trial->device, LONG); }
static int64_t read_register(trial_t *trial) { return hd_read32(trial->device, HW_REG_CMD_HEAD); }
static int64_t write_head(trial_t *trial) {
  return hd_write32(trial->device, HW_REG_DONE_HEAD, 0, LONG);
}
static int64_t write_control(trial_t *trial) {
  return hd_write32(trial->device, HW_REG_CTRL, HW_BIT(HW_CTRL_ENABLE_BIT), LONG);
}
static int64_t open_queue(trial_t *trial) {
  int failure = 0;
  hw_queue_t *queue = hq_open(trial->device, &RINGS, LONG, &failure);
  if (queue) {
    hq_close(queue);
    hq_free(queue);
  }
  return failure;
}
static int64_t peer(trial_t *trial) {
  hd_peer_info_t info;
  hd_counts_t counts;
  const int failed = hd_peer(trial->device, &info);
  return failed ? failed : hd_counts(trial->device, &counts);
}

static const struct call {
  const char *name;
  int64_t (*call)(trial_t *);
} CALLS[] = {
    {"poll", poll_done},          {"poll, reward ring", poll_reward},
    {"submit and poll", there_and_back}, {"submit_decode", submit_decode},
    {"room", room},               {"ready", ready},
    {"wait", wait},               {"read32", read_register},
    {"write32, a head", write_head}, {"write32, CTRL", write_control},
    {"open a queue", open_queue}, {"peer and counts", peer},
};
enum { CALL_COUNT = sizeof CALLS / sizeof *CALLS };

typedef struct caller {
  trial_t *trial;
  const struct call *call;
} caller_t;

static void *call_until_closed(void *argument) {
  const caller_t *caller = argument;
  int64_t last;
  do {
    hw_put(&caller->trial->inside, 1);
    last = caller->call->call(caller->trial);
  } while (last != HD_CLOSED && last != HD_GONE);
  caller->trial->last = last;
  return NULL;
}

// Stands for a worker behind a bus: it acknowledges closed gates, and does nothing else.
typedef struct stand_in {
  hw_segment_t *segment;
  hw_word_t stop;
} stand_in_t;

static void *acknowledge(void *argument) {
  stand_in_t *stand_in = argument;
  while (!hw_get(&stand_in->stop)) {
    const uint32_t gate = hw_get(&stand_in->segment->gate);
    if (gate & 1u) {
      hw_put(&stand_in->segment->ack[0].gate, gate);
    }
    sched_yield();
  }
  return NULL;
}

static int run_round(kind_t kind, const struct call *call, unsigned *seed) {
  // A file with two open descriptions for its two sides, or memory that goes at once.
  int host_file = -1, worker_file = -1;
  uint8_t *segment;
  if (kind == PROCESS) {
    char path[64];
    host_file = memfd_create("closing", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", host_file);
    worker_file = open(path, O_RDWR | O_CLOEXEC);
    if (host_file < 0 || worker_file < 0 || ftruncate(host_file, BYTES)) {
      perror("memfd");
      return 1;
    }
    segment = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, host_file, 0);
  } else {
    segment = aligned_alloc(4096, BYTES);
    memset(segment, 0, BYTES);
  }
  hd_format(segment, BYTES, OFFSET, WINDOW, 0xFFFFFFF0u);
  trial_t trial = {.device = hd_open(segment, BYTES)};
  hw_device_t *worker = trial.device;
  stand_in_t stand_in = {.segment = (hw_segment_t *)segment};
  pthread_t acknowledging, thread;
  if (kind == PROCESS) {
    worker = hd_open(segment, BYTES);
    hd_join(worker, worker_file, HD_ROLE_WORKER);
    hd_start_workers(worker, 1);
    hd_join(trial.device, host_file, HD_ROLE_HOST);
  } else if (kind == THREADS) {
    hd_start_workers(worker, 1);
  } else {
    pthread_create(&acknowledging, NULL, acknowledge, &stand_in);
    hd_serve_remote(trial.device, 1, 1000000000, 0);
  }
  hd_write32(trial.device, HW_REG_RING_LOG2, RINGS.ring_log2, LONG);
  hd_write32(trial.device, HW_REG_CMD_BASE_LO, (uint32_t)RINGS.cmd_base, LONG);
  hd_write32(trial.device, HW_REG_DONE_BASE_LO, (uint32_t)RINGS.done_base, LONG);
  hd_write32(trial.device, HW_REG_REWARD_BASE_LO, (uint32_t)RINGS.reward_base, LONG);
  hd_write32(trial.device, HW_REG_CTRL,
             HW_BIT(HW_CTRL_ENABLE_BIT) | HW_BIT(HW_CTRL_SPLIT_REWARD_BIT), LONG);
  int failure;
  trial.queue = hq_open(trial.device, &RINGS, LONG, &failure);

  caller_t caller = {&trial, call};
  pthread_create(&thread, NULL, call_until_closed, &caller);
  while (!hw_get(&trial.inside)) {
    sched_yield();
  }
  // Now spinning, now yielding, now asleep.
  const struct timespec rest = {0, rand_r(seed) % 4 ? rand_r(seed) % 30000 : rand_r(seed) % 1500000};
  nanosleep(&rest, NULL);
  const uint64_t start = hw_now();
  hq_close(trial.queue);
  hd_close(trial.device);
  const uint64_t took = hw_now() - start;
  // What stands for the worker goes before its memory.
  if (kind == PROCESS) {
    hd_close(worker);
    hd_free(worker);
    munmap(segment, BYTES);
    close(worker_file);
    close(host_file);
  } else {
    if (kind == REMOTE) {
      hw_put(&stand_in.stop, 1);
      pthread_join(acknowledging, NULL);
    }
    free(segment);
  }
  pthread_join(thread, NULL);
  hq_free(trial.queue);
  hd_free(trial.device);
  if (trial.last != HD_CLOSED || took > CLOSE_NS) {
    fprintf(stderr, "%s, %s: the call ended with %" PRId64 ", the close took %" PRIu64 " ms\n",
            KIND_NAMES[kind], call->name, trial.last, took / 1000000);
    return 1;
  }
  return 0;
}

int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const uint32_t rounds = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : 1000u;
  unsigned seed = count > 2 ? (unsigned)strtoul(arguments[2], NULL, 10) : 1u;
  const char *only = count > 3 ? arguments[3] : NULL;
  int wrong = rounds == 0;
  for (int kind = 0; kind < KINDS; ++kind) {
    if (only && strcmp(only, KIND_NAMES[kind])) {
      continue;
    }
    for (int call = 0; call < CALL_COUNT; ++call) {
      for (uint32_t round = 0; round < rounds && !wrong; ++round) {
        wrong = run_round((kind_t)kind, &CALLS[call], &seed);
      }
    }
    printf("closing, %s: %u rounds of %d calls: %s\n", KIND_NAMES[kind], rounds, CALL_COUNT,
           wrong ? "WRONG" : "good");
  }
  return wrong;
}
