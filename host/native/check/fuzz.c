// SPDX-License-Identifier: Apache-2.0
//
// Random stores into a live segment, region by region, with the host and the worker at work, for
// sanitizers. Whatever is stored: no crash, no call that outlasts its deadline, and no completion whose
// tag and checksum are right and which is another than the one that belongs to its line. After a
// store that was detected, a reset (or for words that a reset does not write, a new segment) must make
// the device whole.
//
// The lines are sealed and the device requires that: within the range of an index nothing else tells a
// stray store from the other side's.
//
// Usage: fuzz STORES [SEED [REGION]]. Exit code 0: all as it must be; 1: a violation, with the line
// that repeats it. Built with HW_PATIENCE_DIVISOR, so that the waits for what was broken are short.
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fuzz_rig.h"
#ifdef HW_FIBERS
#include "fibers.h"
#endif

enum { BURST = 6 };  // stores between two exchanges
enum { TRIES = 2 };  // resets before the segment is laid out again

typedef struct region {
  const char *name;
  uint32_t offset;
  uint32_t bytes;
} region_t;

#define FROM_TO(name, first, behind) \
  { name, offsetof(hw_segment_t, first), offsetof(hw_segment_t, behind) - offsetof(hw_segment_t, first) }
static const region_t REGIONS[] = {
    FROM_TO("identity", magic, lock),
    FROM_TO("lock", lock, enable),
    FROM_TO("registers", enable, status_errors),
    FROM_TO("status", status_errors, cmd_tail),
    FROM_TO("doorbell", cmd_tail, done_head),
    FROM_TO("heads", done_head, irq_status),
    FROM_TO("events and newest line", irq_status, gate),
    FROM_TO("gate", gate, worker_wake),
    FROM_TO("wakes", worker_wake, committed),
    FROM_TO("committed", committed, record),
    FROM_TO("records", record, ack),
    FROM_TO("acknowledgements", ack, peer),
    FROM_TO("peers", peer, remote),
    FROM_TO("remote", remote, config),
    FROM_TO("configuration and reply", config, report),
    {"report", offsetof(hw_segment_t, report), sizeof(hw_segment_t) - offsetof(hw_segment_t, report)},
    {"command ring's indices", OFFSET + CMD - 128, 128},
    {"command ring", OFFSET + CMD, SLOTS * HW_DESC_BYTES},
    {"done ring's indices", OFFSET + DONE - 128, 128},
    {"done ring", OFFSET + DONE, SLOTS * HW_DESC_BYTES},
    {"reward ring's indices", OFFSET + REWARD - 128, 128},
    {"reward ring", OFFSET + REWARD, SLOTS * HW_DESC_BYTES},
    {"everything", 0, BYTES},
};
enum { REGION_COUNT = sizeof REGIONS / sizeof *REGIONS };

static uint64_t state;
static uint64_t stores, wanted_stores, bursts;
static const region_t *region;
static uint64_t seed;
static rig_t rig = {.files = {-1, -1}};

uint32_t draw(void) {  // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)(state * 2685821657736338717ull >> 32);
}

void violated(const char *what) {
  fprintf(stderr, "%s: %s, after %" PRIu64 " stores; rerun: fuzz %" PRIu64 " %" PRIu64 " '%s'\n",
          region->name, what, stores, wanted_stores, seed, region->name);
  _exit(1);
}

static void stuck(int number) {
  (void)number;
  violated("a call does not end");
}

void stray_store(void) {
  uint32_t at;
  do {
    at = region->offset + draw() % (region->bytes / 4u) * 4u;
  } while (rig_in_gap(at));
  hw_word_t *word = (hw_word_t *)(rig.memory + at);
  const uint32_t old = atomic_load_explicit(word, memory_order_relaxed);
  uint32_t value;
  switch (draw() % 6u) {
    case 0: value = draw(); break;
    case 1: value = old ^ 1u << draw() % 32u; break;
    case 2: value = old + draw() % 64u - 32u; break;
    case 3: value = draw() % 8u; break;
    case 4: value = FIRST + rig.sent + draw() % 64u - 32u; break;
    default: value = 0u - draw() % 2u; break;
  }
  atomic_store_explicit(word, value, memory_order_relaxed);
  ++stores;
}

#ifdef HW_FIBERS
static void at_point(void) {
  if (rig.storing) {
    stray_store();
  }
}
#endif

static void fuzz(uint64_t wanted) {
  rig_format(&rig);
  for (uint64_t end = stores + wanted; stores < end; ++bursts) {
    const uint32_t burst = 1u + draw() % BURST;
    int good = 1;
    for (uint32_t at = 0; at < burst && stores < end; ++at) {
      stray_store();
      if (draw() % 4u == 0) {
        good &= rig_exchange(&rig, 1u + draw() % MANY, POLL_NS, 1);
      }
    }
    if (draw() % 64u == 0) {
      rig_read_registers(&rig);
    }
    good &= rig_exchange(&rig, 1u + draw() % MANY, POLL_NS, 1);
    if (!good) {
      // A store may have hit what a reset does not write.
      int whole = 0;
      for (int tries = 0; !whole && tries < TRIES; ++tries) {
        whole = rig_reset(&rig, PATIENCE_NS) == 0 && rig_exchange(&rig, SLOTS, POLL_NS, 0);
      }
      if (!whole) {
        rig_format(&rig);
        if (!rig_exchange(&rig, SLOTS, (int64_t)SLACK_NS, 0)) {
          violated("a fresh device does not work");
        }
      }
    }
  }
}

static int open_file(int memory) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
  return open(path, O_RDWR | O_CLOEXEC);
}

int main(int count, char **arguments) {
  const uint64_t wanted = count > 1 ? strtoull(arguments[1], NULL, 10) : 0;
  const char *only = count > 3 ? arguments[3] : NULL;
  seed = count > 2 ? strtoull(arguments[2], NULL, 10) : (uint64_t)time(NULL);
  if (wanted == 0) {
    fprintf(stderr, "usage: fuzz STORES [SEED [REGION]]\n");
    return 2;
  }
  wanted_stores = wanted;
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGALRM, stuck);
  const int memory = memfd_create("descring-fuzz", MFD_CLOEXEC);
  const int shared[2] = {open_file(memory), open_file(memory)};
  if (ftruncate(memory, BYTES) || shared[0] < 0 || shared[1] < 0) {
    fprintf(stderr, "no memory to share\n");
    return 2;
  }
  rig.memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  for (int at = 0; at < REGION_COUNT; ++at) {
    region = &REGIONS[at];
    if (only && strcmp(only, region->name)) {
      continue;
    }
    state = seed * 0x9E3779B97F4A7C15ull + (uint64_t)at + 1u;
    stores = bursts = 0;
    rig.resets = rig.formats = rig.completions = rig.rejected = rig.unsubmitted = 0;
    const clock_t start = clock();
#ifdef HW_FIBERS
    fiber_begin(state, at_point);
#endif
    // These have the words that say where the rings are and how long.
    rig.fixed = strcmp(region->name, "registers") && strcmp(region->name, "everything");
    // Worker in the host's process and in another, one worker and two, one completion ring and two.
    for (int mode = 0; mode < 8; ++mode) {
      rig.split = mode & 1;
      rig.workers = 1u + (mode >> 1 & 1u);
      rig.files[0] = mode >> 2 ? shared[0] : -1;
      rig.files[1] = mode >> 2 ? shared[1] : -1;
      fuzz((wanted + 7u) / 8u);
      rig_close(&rig);
    }
    printf("%s: %" PRIu64 " stores, %" PRIu64 " completions, %" PRIu64 " of them rejected, %" PRIu64
           " submissions refused or short, %" PRIu64 " resets, %" PRIu64
           " new segments, %.1f s of processor time\n",
           region->name, stores, rig.completions, rig.rejected, rig.unsubmitted, rig.resets,
           rig.formats, (double)(clock() - start) / CLOCKS_PER_SEC);
  }
  return 0;
}
