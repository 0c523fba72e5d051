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
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fast_crc.h"
#include "segment.h"

enum {
  WINDOW = 1 << 14,
  OFFSET = 4096,
  BYTES = OFFSET + WINDOW,
  SLOTS_LOG2 = 4,
  SLOTS = 1 << SLOTS_LOG2,
  CMD = 128,
  DONE = 4096 + 128,
  REWARD = 8192 + 128,
  FIRST = 0xFFFFFF00,
  BURST = 6  // stores between two looks at the device
};
static const int64_t POLL_NS = 2ll * 1000 * 1000;
static const int64_t PATIENCE_NS = 20ll * 1000 * 1000;
// On top of a call's own deadline: a busy machine may keep a thread waiting for that long.
static const uint64_t SLACK_NS = 3ull * 1000 * 1000 * 1000;
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

typedef struct bench {
  uint8_t *memory;
  int files[2];  // -1: the worker is a thread of the host's device
  hw_device_t *device;
  hw_device_t *worker;
  hw_queue_t *queue;
  int split;
  uint32_t workers;
  uint32_t life;  // part of every line, so that none of an earlier life passes
  uint32_t sent;
  uint32_t taken[2];
} bench_t;

static uint64_t state;
static uint64_t stores, bursts, resets, formats, completions, rejected, unsubmitted;
static const region_t *region;
static uint64_t seed;

static uint32_t draw(void) {  // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)(state * 2685821657736338717ull >> 32);
}

static void violated(const char *what) {
  fprintf(stderr, "%s: %s, after %" PRIu64 " stores; rerun: fuzz %" PRIu64 " %" PRIu64 " '%s'\n",
          region->name, what, stores, stores, seed, region->name);
  exit(1);
}

static void in_time(const char *what, uint64_t start, int64_t allowed) {
  if (hw_now() - start > (uint64_t)allowed + SLACK_NS) {
    violated(what);
  }
}

static hw_desc_t make_line(const bench_t *bench, uint32_t at) {
  const uint32_t mix = (at + 1u + bench->life * 977u) * 2654435761u;
  hw_desc_t line = {0};
  line.opcode = mix >> 28 ? HW_OPCODE_DECODE : HW_OPCODE_REWARD;
  line.flags = HW_FLAG_CHECKED;
  line.seq_len = mix >> 8 & 255u;
  line.max_tokens = mix >> 12 & 511u;
  line.rollout_id = mix;
  line.user_data = (uint64_t)bench->life << 32 | at;
  hw_worker_seal(&line, FIRST + at);
  return line;
}

// Whether tag and checksum are right; a completion that passes must be the one of its line.
static int accept(bench_t *bench, const hw_desc_t *line, int reward) {
  const uint32_t post = FIRST + bench->taken[reward]++;
  hw_desc_t sealed = *line;
  hw_worker_seal(&sealed, post);
  ++completions;
  if (!(line->flags & HW_FLAG_CHECKED) || memcmp(&sealed, line, sizeof sealed)) {
    ++rejected;
    return 0;
  }
  // The worker refused a line that was overwritten, and reported it; or a stray mode bit sent the
  // completion to the ring to which its own flags do not belong.
  if (line->flags & HW_FLAG_ERROR || reward != (bench->split && line->flags & HW_FLAG_NEEDS_REWARD)) {
    ++rejected;
    return 0;
  }
  const uint32_t at = (uint32_t)line->user_data;
  hw_desc_t expected = make_line(bench, at);
  hw_worker_step(&expected, FIRST + at, 1);
  hw_worker_seal(&expected, post);
  if (line->user_data >> 32 != bench->life || at >= bench->sent ||
      memcmp(&expected, line, sizeof expected)) {
    fprintf(stderr, "life %" PRIu64 " of %" PRIu32 ", line %" PRIu32 " of %" PRIu32 ", posted at %" PRIu32 "\n",
            line->user_data >> 32, bench->life, at, bench->sent, post - FIRST);
    violated("a wrong completion passed for right");
  }
  return 1;
}

static const hd_geometry_t *rings_of(const bench_t *bench) {
  static hd_geometry_t rings;
  rings = (hd_geometry_t){CMD, DONE, REWARD, SLOTS_LOG2 * 0x010101u, (uint32_t)bench->split};
  return &rings;
}

static int write_register(bench_t *bench, uint32_t offset, uint32_t value, int64_t patience_ns) {
  const uint64_t start = hw_now();
  const int failed = hd_write32(bench->device, offset, value, patience_ns);
  in_time("a register write outlasted its patience", start, patience_ns);
  return failed;
}

// A fresh life of the device, by its registers alone: 0, or what refused it.
static int reset(bench_t *bench, int64_t patience_ns) {
  if (bench->queue) {
    hq_close(bench->queue);
    hq_free(bench->queue);
    bench->queue = NULL;
  }
  const hd_geometry_t *rings = rings_of(bench);
  const uint32_t modes = HW_BIT(HW_CTRL_REQUIRE_CHECKED_BIT) |
                         (bench->split ? HW_BIT(HW_CTRL_SPLIT_REWARD_BIT) : 0u);
  int failed = write_register(bench, HW_REG_CTRL, HW_BIT(HW_CTRL_RESET_BIT), patience_ns);
  const uint32_t values[][2] = {{HW_REG_RING_LOG2, rings->ring_log2},
                                {HW_REG_CMD_BASE_LO, CMD},
                                {HW_REG_DONE_BASE_LO, DONE},
                                {HW_REG_REWARD_BASE_LO, REWARD},
                                {HW_REG_CTRL, HW_BIT(HW_CTRL_ENABLE_BIT) | modes}};
  for (unsigned at = 0; !failed && at < sizeof values / sizeof *values; ++at) {
    failed = write_register(bench, values[at][0], values[at][1], patience_ns);
  }
  if (!failed) {
    const uint64_t start = hw_now();
    bench->queue = hq_open(bench->device, rings, patience_ns, &failed);
    in_time("hq_open outlasted its patience", start, patience_ns);
  }
  ++bench->life;
  bench->sent = bench->taken[0] = bench->taken[1] = 0;
  ++resets;
  return failed;
}

static void close_all(bench_t *bench) {
  const uint64_t start = hw_now();
  if (bench->queue) {
    hq_close(bench->queue);
    hq_free(bench->queue);
    bench->queue = NULL;
  }
  if (bench->worker && bench->worker != bench->device) {
    hd_close(bench->worker);
    hd_free(bench->worker);
  }
  if (bench->device) {
    hd_close(bench->device);
    hd_free(bench->device);
  }
  bench->device = bench->worker = NULL;
  in_time("closing did not end", start, 0);
}

// Lay the segment out from nothing, as if it had just been made.
static void format(bench_t *bench) {
  close_all(bench);
  memset(bench->memory, 0, BYTES);
  ++formats;
  if (hd_format(bench->memory, BYTES, OFFSET, WINDOW, FIRST)) {
    violated("it cannot be formatted");
  }
  bench->device = hd_open(bench->memory, BYTES);
  bench->worker = bench->files[0] < 0 ? bench->device : hd_open(bench->memory, BYTES);
  if (!bench->device || !bench->worker) {
    violated("a fresh segment cannot be opened");
  }
  if (bench->files[0] >= 0 && (hd_join(bench->worker, bench->files[0], HD_ROLE_WORKER) ||
                               hd_join(bench->device, bench->files[1], HD_ROLE_HOST))) {
    violated("the roles of a fresh segment cannot be taken");
  }
  if (hd_start_workers(bench->worker, bench->workers)) {
    violated("no worker can be started");
  }
  if (reset(bench, (int64_t)SLACK_NS)) {
    violated("a fresh device cannot be reset");
  }
}

static void store(bench_t *bench) {
  hw_word_t *word = (hw_word_t *)(bench->memory + region->offset + draw() % (region->bytes / 4u) * 4u);
  const uint32_t old = atomic_load_explicit(word, memory_order_relaxed);
  uint32_t value;
  switch (draw() % 6u) {
    case 0: value = draw(); break;
    case 1: value = old ^ 1u << draw() % 32u; break;
    case 2: value = old + draw() % 64u - 32u; break;
    case 3: value = draw() % 8u; break;
    case 4: value = FIRST + bench->sent + draw() % 64u - 32u; break;
    default: value = 0u - draw() % 2u; break;
  }
  atomic_store_explicit(word, value, memory_order_relaxed);
  ++stores;
}

// Submit and take a few lines: 1 if all returned right, 0 if something was reported, or not all
// returned in time.
static int exchange(bench_t *bench, uint32_t count, int64_t timeout_ns, int storing) {
  hw_desc_t lines[SLOTS];
  const uint32_t first = bench->sent;
  for (uint32_t at = 0; at < count; ++at) {
    lines[at] = make_line(bench, first + at);
  }
  const int64_t sent = hq_submit(bench->queue, lines, count);
  if (sent > 0) {
    bench->sent += (uint32_t)sent;
  }
  unsubmitted += sent != (int64_t)count;
  if (sent < 0) {
    return 0;
  }
  if (storing && draw() % 2u) {
    store(bench);  // while lines are on their way
  }
  const uint32_t before = bench->taken[0] + bench->taken[1];
  int good = 1;
  for (const uint64_t start = hw_now(); bench->taken[0] + bench->taken[1] - before < (uint32_t)sent;) {
    for (int reward = 0; reward <= bench->split; ++reward) {
      const uint64_t called = hw_now();
      const int64_t wait = bench->split ? POLL_NS / 20 : POLL_NS;
      const int64_t got = hq_poll(bench->queue, reward, lines, SLOTS, wait);
      in_time("a poll outlasted its deadline", called, wait);
      if (got < 0) {
        return 0;
      }
      for (int64_t at = 0; at < got; ++at) {
        good &= accept(bench, &lines[at], reward);
      }
    }
    if ((int64_t)(hw_now() - start) > timeout_ns) {
      return 0;
    }
  }
  return good && sent == (int64_t)count;
}

static void look_at_registers(bench_t *bench) {
  const uint64_t start = hw_now();
  hd_counts_t counts;
  hd_peer_info_t peer;
  char text[200];
  for (uint32_t offset = 0; offset <= HW_REG_CONTRACT_HASH; offset += 4) {
    hd_read32(bench->device, offset);
  }
  hd_counts(bench->device, &counts);
  hd_peer(bench->device, &peer);
  hd_fault(bench->device, text, sizeof text);
  hd_fault(bench->worker, text, sizeof text);
  hd_unrecoverable(bench->device);
  hd_wait(bench->device, 0);
  hq_room(bench->queue);
  hq_ready(bench->queue, 0);
  write_register(bench, HW_REG_IRQ_STATUS, 7, PATIENCE_NS);
  write_register(bench, HW_REG_DONE_HEAD, (uint32_t)hd_read32(bench->device, HW_REG_DONE_HEAD),
                 PATIENCE_NS);
  in_time("looking at the registers did not end", start, 40 * PATIENCE_NS);
}

static void fuzz(bench_t *bench, uint64_t wanted) {
  format(bench);
  for (uint64_t end = stores + wanted; stores < end; ++bursts) {
    const uint32_t burst = 1u + draw() % BURST;
    int good = 1;
    for (uint32_t at = 0; at < burst && stores < end; ++at) {
      store(bench);
      if (draw() % 4u == 0) {
        good &= exchange(bench, 1u + draw() % SLOTS, POLL_NS, 1);
      }
    }
    if (draw() % 64u == 0) {
      look_at_registers(bench);
    }
    good &= exchange(bench, 1u + draw() % SLOTS, POLL_NS, 1);
    if (!good) {
      // A store may have hit what a reset does not write.
      int whole = 0;
      for (int tries = 0; !whole && tries < TRIES; ++tries) {
        whole = reset(bench, PATIENCE_NS) == 0 && exchange(bench, SLOTS, POLL_NS, 0);
      }
      if (!whole) {
        format(bench);
        if (!exchange(bench, SLOTS, (int64_t)SLACK_NS, 0)) {
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
  seed = count > 2 ? strtoull(arguments[2], NULL, 10) : hw_now();
  if (wanted == 0) {
    fprintf(stderr, "usage: fuzz STORES [SEED [REGION]]\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  const int memory = memfd_create("descring-fuzz", MFD_CLOEXEC);
  bench_t bench = {.files = {open_file(memory), open_file(memory)}};
  if (ftruncate(memory, BYTES) || bench.files[0] < 0 || bench.files[1] < 0) {
    fprintf(stderr, "no memory to share\n");
    return 2;
  }
  bench.memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  const int shared[2] = {bench.files[0], bench.files[1]};
  for (int at = 0; at < REGION_COUNT; ++at) {
    region = &REGIONS[at];
    if (only && strcmp(only, region->name)) {
      continue;
    }
    state = seed * 0x9E3779B97F4A7C15ull + (uint64_t)at + 1u;
    stores = bursts = resets = formats = completions = rejected = unsubmitted = 0;
    const uint64_t start = hw_now();
    // Worker in the host's process and in another, one worker and two, one completion ring and two.
    for (int mode = 0; mode < 8; ++mode) {
      bench.split = mode & 1;
      bench.workers = 1u + (mode >> 1 & 1u);
      bench.files[0] = mode >> 2 ? shared[0] : -1;
      bench.files[1] = mode >> 2 ? shared[1] : -1;
      fuzz(&bench, wanted / 8u + 1u);
      close_all(&bench);
    }
    printf("%s: %" PRIu64 " stores, %" PRIu64 " completions, %" PRIu64 " of them rejected, %" PRIu64
           " submissions refused or short, %" PRIu64 " resets, %" PRIu64 " new segments, %.1f s\n",
           region->name, stores, completions, rejected, unsubmitted, resets, formats,
           (double)(hw_now() - start) * 1e-9);
  }
  return 0;
}
