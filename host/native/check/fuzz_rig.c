// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "fuzz_rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fast_crc.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#endif
#ifdef HW_FIBERS
#include "fibers.h"
#endif

enum { STUCK_S = 120 };  // on the real clock

static const char *calling;

static void late(void) { violated(calling); }

// Between these two a call is made that ends by itself after `allowed` nanoseconds.
static uint64_t begin_call(const char *what, int64_t allowed) {
  const uint64_t start = hw_now();
  calling = what;
  alarm(STUCK_S);
#ifdef HW_FIBERS
  fiber_limit(start + (uint64_t)allowed + SLACK_NS, late);
#else
  (void)allowed;
#endif
  return start;
}

static void end_call(uint64_t start, int64_t allowed) {
#ifdef HW_FIBERS
  fiber_limit(0, NULL);
#endif
  if (hw_now() - start > (uint64_t)allowed + SLACK_NS) {
    late();
  }
}

static hw_desc_t make_line(const rig_t *rig, uint32_t at) {
  const uint32_t mix = (at + 1u + rig->life * 977u) * 2654435761u;
  hw_desc_t line = {0};
  line.opcode = mix >> 28 ? HW_OPCODE_DECODE : HW_OPCODE_REWARD;
  line.flags = HW_FLAG_CHECKED;
  line.seq_len = mix >> 8 & 255u;
  line.max_tokens = mix >> 12 & 511u;
  line.rollout_id = mix;
  line.user_data = (uint64_t)rig->life << 32 | at;
  hw_worker_seal(&line, FIRST + at);
  return line;
}

// Whether tag and checksum are right; a completion that passes must be the one of its line.
static int accept(rig_t *rig, const hw_desc_t *line, int reward) {
  const uint32_t post = FIRST + rig->taken[reward]++;
  hw_desc_t sealed = *line;
  hw_worker_seal(&sealed, post);
  ++rig->completions;
  if (!(line->flags & HW_FLAG_CHECKED) || memcmp(&sealed, line, sizeof sealed)) {
    ++rig->rejected;
    return 0;
  }
  // The worker refused a line that was overwritten, and reported it; or a stray mode bit sent the
  // completion to the ring to which its own flags do not belong.
  if (line->flags & HW_FLAG_ERROR || reward != (rig->split && line->flags & HW_FLAG_NEEDS_REWARD)) {
    ++rig->rejected;
    return 0;
  }
  const uint32_t at = (uint32_t)line->user_data;
  hw_desc_t expected = make_line(rig, at);
  hw_worker_step(&expected, FIRST + at, 1);
  hw_worker_seal(&expected, post);
  if (line->user_data >> 32 != rig->life || at >= rig->sent ||
      memcmp(&expected, line, sizeof expected)) {
    fprintf(stderr, "life %" PRIu64 " of %" PRIu32 ", line %" PRIu32 " of %" PRIu32 ", posted at %" PRIu32 "\n",
            line->user_data >> 32, rig->life, at, rig->sent, post - FIRST);
    violated("a wrong completion passed for right");
  }
  return 1;
}

static const hd_geometry_t *rings_of(const rig_t *rig) {
  static hd_geometry_t rings;
  rings = (hd_geometry_t){CMD, DONE, REWARD, SLOTS_LOG2 * 0x010101u, (uint32_t)rig->split};
  return &rings;
}

static int write_register(rig_t *rig, uint32_t offset, uint32_t value, int64_t patience_ns) {
  const uint64_t start = begin_call("a register write outlasted its patience", patience_ns);
  const int failed = hd_write32(rig->device, offset, value, patience_ns);
  end_call(start, patience_ns);
  return failed;
}

int rig_reset(rig_t *rig, int64_t patience_ns) {
  if (rig->queue) {
    hq_close(rig->queue);
    hq_free(rig->queue);
    rig->queue = NULL;
  }
  const hd_geometry_t *rings = rings_of(rig);
  const uint32_t modes = HW_BIT(HW_CTRL_REQUIRE_CHECKED_BIT) |
                         (rig->split ? HW_BIT(HW_CTRL_SPLIT_REWARD_BIT) : 0u);
  int failed = write_register(rig, HW_REG_CTRL, HW_BIT(HW_CTRL_RESET_BIT), patience_ns);
  const uint32_t values[][2] = {{HW_REG_RING_LOG2, rings->ring_log2},
                                {HW_REG_CMD_BASE_LO, CMD},
                                {HW_REG_DONE_BASE_LO, DONE},
                                {HW_REG_REWARD_BASE_LO, REWARD},
                                {HW_REG_CTRL, HW_BIT(HW_CTRL_ENABLE_BIT) | modes}};
  for (unsigned at = 0; !failed && at < sizeof values / sizeof *values; ++at) {
    failed = write_register(rig, values[at][0], values[at][1], patience_ns);
  }
  if (!failed) {
    const uint64_t start = begin_call("hq_open outlasted its patience", patience_ns);
    rig->queue = hq_open(rig->device, rings, patience_ns, &failed);
    end_call(start, patience_ns);
  }
  ++rig->life;
  rig->sent = rig->taken[0] = rig->taken[1] = 0;
  ++rig->resets;
  return failed;
}

void rig_close(rig_t *rig) {
  const uint64_t start = begin_call("closing did not end", 0);
  if (rig->queue) {
    hq_close(rig->queue);
    hq_free(rig->queue);
    rig->queue = NULL;
  }
  if (rig->worker && rig->worker != rig->device) {
    hd_close(rig->worker);
    hd_free(rig->worker);
  }
  if (rig->device) {
    hd_close(rig->device);
    hd_free(rig->device);
  }
  rig->device = rig->worker = NULL;
  end_call(start, 0);
}

// From byte to byte of the segment.
static const uint32_t GAPS[][2] = {{sizeof(hw_segment_t), OFFSET},
                                   {OFFSET + CMD + SLOTS * HW_DESC_BYTES, OFFSET + DONE - 128},
                                   {OFFSET + DONE + SLOTS * HW_DESC_BYTES, OFFSET + REWARD - 128},
                                   {OFFSET + REWARD + SLOTS * HW_DESC_BYTES, BYTES}};

int rig_in_gap(uint32_t offset) {
  for (size_t at = 0; at < sizeof GAPS / sizeof *GAPS; ++at) {
    if (offset >= GAPS[at][0] && offset < GAPS[at][1]) {
      return 1;
    }
  }
  return 0;
}

// Let AddressSanitizer report every access to a gap, or none.
static void guard(rig_t *rig, int on) {
  for (size_t at = 0; at < sizeof GAPS / sizeof *GAPS; ++at) {
    uint8_t *start = rig->memory + GAPS[at][0];
    const size_t bytes = GAPS[at][1] - GAPS[at][0];
    if (on) {
      ASAN_POISON_MEMORY_REGION(start, bytes);
    } else {
      ASAN_UNPOISON_MEMORY_REGION(start, bytes);
    }
  }
}

void rig_format(rig_t *rig) {
  rig_close(rig);
  guard(rig, 0);
  memset(rig->memory, 0, BYTES);
  ++rig->formats;
  if (hd_format(rig->memory, BYTES, OFFSET, WINDOW, FIRST)) {
    violated("it cannot be formatted");
  }
  rig->device = hd_open(rig->memory, BYTES);
  rig->worker = rig->files[0] < 0 ? rig->device : hd_open(rig->memory, BYTES);
  if (!rig->device || !rig->worker) {
    violated("a fresh segment cannot be opened");
  }
  if (rig->files[0] >= 0 && (hd_join(rig->worker, rig->files[0], HD_ROLE_WORKER) ||
                               hd_join(rig->device, rig->files[1], HD_ROLE_HOST))) {
    violated("the roles of a fresh segment cannot be taken");
  }
  if (hd_start_workers(rig->worker, rig->workers)) {
    violated("no worker can be started");
  }
  if (rig_reset(rig, (int64_t)SLACK_NS)) {
    violated("a fresh device cannot be reset");
  }
  guard(rig, rig->fixed);
}

int rig_exchange(rig_t *rig, uint32_t count, int64_t timeout_ns, int storing) {
  hw_desc_t lines[MANY];
  const uint32_t first = rig->sent;
  for (uint32_t at = 0; at < count; ++at) {
    lines[at] = make_line(rig, first + at);
  }
  const uint64_t submitting = begin_call("hq_submit did not end", 0);
  rig->storing = storing;
  const int64_t sent = hq_submit(rig->queue, lines, count);
  rig->storing = 0;
  end_call(submitting, 0);
  if (sent > 0) {
    rig->sent += (uint32_t)sent;
  }
  const int64_t fit = count < SLOTS ? count : SLOTS;
  if (sent > fit) {
    violated("more lines were accepted than the ring has slots");
  }
  rig->unsubmitted += sent != fit;
  if (sent < 0) {
    return 0;
  }
  if (storing && draw() % 2u) {
    stray_store();  // while lines are on their way
  }
  const uint32_t before = rig->taken[0] + rig->taken[1];
  int good = 1;
  for (const uint64_t start = hw_now(); rig->taken[0] + rig->taken[1] - before < (uint32_t)sent;) {
    for (int reward = 0; reward <= rig->split; ++reward) {
      const int64_t wait = rig->split ? POLL_NS / 20 : POLL_NS;
      const uint64_t called = begin_call("a poll outlasted its deadline", wait);
      rig->storing = storing;
      const int64_t got = hq_poll(rig->queue, reward, lines, MANY, wait);
      rig->storing = 0;
      end_call(called, wait);
      if (got < 0) {
        return 0;
      }
      if (got > SLOTS) {
        violated("more completions were returned than the ring has slots");
      }
      for (int64_t at = 0; at < got; ++at) {
        good &= accept(rig, &lines[at], reward);
      }
    }
    if ((int64_t)(hw_now() - start) > timeout_ns) {
      return 0;
    }
  }
  return good && sent == fit;
}

void rig_read_registers(rig_t *rig) {
  const int64_t allowed = 40 * PATIENCE_NS;
  const uint64_t start = begin_call("reading the registers did not end", allowed);
  hd_counts_t counts;
  hd_peer_info_t peer;
  char text[200];
  for (uint32_t offset = 0; offset <= HW_REG_CONTRACT_HASH; offset += 4) {
    hd_read32(rig->device, offset);
  }
  hd_counts(rig->device, &counts);
  hd_peer(rig->device, &peer);
  hd_fault(rig->device, text, sizeof text);
  hd_fault(rig->worker, text, sizeof text);
  hd_unrecoverable(rig->device);
  hd_wait(rig->device, 0);
  hq_room(rig->queue);
  hq_ready(rig->queue, 0);
  end_call(start, allowed);
  write_register(rig, HW_REG_IRQ_STATUS, 7, PATIENCE_NS);
  write_register(rig, HW_REG_DONE_HEAD, (uint32_t)hd_read32(rig->device, HW_REG_DONE_HEAD),
                 PATIENCE_NS);
}
