// SPDX-License-Identifier: Apache-2.0
//
// Stress of the native core, for sanitizers: a submitting thread, a taking thread, a thread that
// pauses, resumes and reads registers, and 1 to 4 workers, on small rings whose indices wrap. Every
// completion is checked. Usage: stress [lines a round]. Exit code 0: all as it must be.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "fast_crc.h"
#include "segment.h"

enum { WINDOW = 1 << 16, OFFSET = 4096, FIRST = 0xFFFFFF80 };

typedef struct round {
  hw_device_t *device;
  hw_queue_t *queue;
  uint32_t lines;
  int split;
  int require_checked;
  hw_word_t taken;
  hw_word_t failed;
  uint64_t tokens;
  uint32_t errors;
} round_t;

// Line `at` of the stream, a function of its number alone.
static hw_desc_t make_line(uint32_t at) {
  const uint32_t mix = (at + 1u) * 2654435761u;
  static const hw_u16 opcodes[8] = {HW_OPCODE_NOP, HW_OPCODE_DECODE, HW_OPCODE_DECODE,
                                    HW_OPCODE_DECODE, HW_OPCODE_REWARD, HW_OPCODE_PREFILL, 9,
                                    HW_OPCODE_STOP};
  hw_desc_t line = {0};
  line.opcode = opcodes[mix >> 29];
  if (line.opcode == HW_OPCODE_STOP && mix >> 24 & 31u) {
    line.opcode = HW_OPCODE_DECODE;  // STOPs are rare
  }
  line.seq_len = mix >> 8 & 255u;
  line.max_tokens = mix >> 12 & 511u;
  line.rollout_id = mix;
  line.user_data = at;
  if (mix & 64u) {
    line.flags = HW_FLAG_CHECKED;
    hw_worker_seal(&line, FIRST + at);
    if (mix & 128u) {
      line.seq_len ^= 1u;  // a bad checksum
    }
  }
  return line;
}

static void *submit(void *argument) {
  round_t *round = argument;
  uint32_t sent = 0;
  while (sent < round->lines && !hw_get(&round->failed)) {
    hw_desc_t batch[16];
    uint32_t count = 1u + sent % 16u;
    count = count < round->lines - sent ? count : round->lines - sent;
    for (uint32_t at = 0; at < count; ++at) {
      batch[at] = make_line(sent + at);
    }
    const int64_t taken = hq_submit(round->queue, batch, count);
    if (taken > 0) {
      sent += (uint32_t)taken;
    } else {
      sched_yield();  // full, or the meddler has paused the device and the doorbell was refused
    }
  }
  return NULL;
}

static int check(round_t *round, const hw_desc_t *got, uint32_t post, int reward) {
  const uint32_t at = (uint32_t)got->user_data;
  hw_desc_t expected = make_line(at);
  const hw_step_t step = hw_worker_step(&expected, FIRST + at, round->require_checked);
  if (step.seal) {
    hw_worker_seal(&expected, post);
  }
  round->tokens += step.tokens;
  round->errors += step.error != 0;
  if (memcmp(&expected, got, sizeof expected) || (reward && !step.reward) ||
      (!reward && round->split && step.reward)) {
    fprintf(stderr, "line %u, posted at %u: not what it must be\n", at, post);
    return 0;
  }
  return 1;
}

static void *take(void *argument) {
  round_t *round = argument;
  uint32_t post[2] = {FIRST, FIRST};
  uint64_t next[2] = {0, 0};
  while (hw_get(&round->taken) < round->lines && !hw_get(&round->failed)) {
    hw_desc_t batch[32];
    for (int reward = 0; reward <= round->split; ++reward) {
      const uint32_t count = hq_poll(round->queue, reward, batch, 1u + post[0] % 32u, 100000);
      for (uint32_t at = 0; at < count; ++at) {
        if (!check(round, &batch[at], post[reward]++, reward) ||
            batch[at].user_data < next[reward]) {
          hw_put(&round->failed, 1);
        }
        next[reward] = batch[at].user_data + 1u;
      }
      atomic_fetch_add(&round->taken, count);
    }
  }
  return NULL;
}

static void *meddle(void *argument) {
  round_t *round = argument;
  const uint32_t modes = hd_read32(round->device, HW_REG_CTRL);
  for (uint32_t turn = 0; hw_get(&round->taken) < round->lines && !hw_get(&round->failed); ++turn) {
    if (turn % 7u == 0) {
      hd_write32(round->device, HW_REG_CTRL, modes & ~HW_BIT(HW_CTRL_ENABLE_BIT), INT64_MAX);
      hd_write32(round->device, HW_REG_CTRL, modes, INT64_MAX);
    }
    if (hd_read32(round->device, HW_REG_STATUS) & HW_BIT(HW_STATUS_HALTED_BIT)) {
      hd_write32(round->device, HW_REG_CTRL, modes | HW_BIT(HW_CTRL_RESUME_BIT), INT64_MAX);
    }
    hd_counts_t counts;
    hd_counts(round->device, &counts);
    if (counts.done_tail - FIRST + (counts.reward_tail - FIRST) != counts.cmd_head - FIRST) {
      fprintf(stderr, "a torn record: %u %u %u\n", counts.cmd_head, counts.done_tail,
              counts.reward_tail);
      hw_put(&round->failed, 1);
    }
    hd_write32(round->device, HW_REG_IRQ_STATUS, 7, INT64_MAX);
    sched_yield();
  }
  return NULL;
}

static int run_round(uint32_t lines, uint32_t workers, int split, int require_checked) {
  uint8_t *segment = aligned_alloc(4096, OFFSET + WINDOW);
  memset(segment, 0, OFFSET + WINDOW);
  if (hd_format(segment, OFFSET + WINDOW, OFFSET, WINDOW, FIRST) || hd_refusal(segment, OFFSET + WINDOW)) {
    fprintf(stderr, "cannot format\n");
    return 1;
  }
  round_t round = {.lines = lines, .split = split, .require_checked = require_checked};
  round.device = hd_open(segment, OFFSET + WINDOW);
  const hd_geometry_t rings = {128, 8192 + 128, 16384 + 128, 6u | 4u << 8 | 2u << 16,
                               (uint32_t)split};
  hd_start_workers(round.device, workers);
  hd_write32(round.device, HW_REG_RING_LOG2, rings.ring_log2, INT64_MAX);
  hd_write32(round.device, HW_REG_CMD_BASE_LO, (uint32_t)rings.cmd_base, INT64_MAX);
  hd_write32(round.device, HW_REG_DONE_BASE_LO, (uint32_t)rings.done_base, INT64_MAX);
  hd_write32(round.device, HW_REG_REWARD_BASE_LO, (uint32_t)rings.reward_base, INT64_MAX);
  hd_write32(round.device, HW_REG_CTRL,
             HW_BIT(HW_CTRL_ENABLE_BIT) | (split ? HW_BIT(HW_CTRL_SPLIT_REWARD_BIT) : 0u) |
                 (require_checked ? HW_BIT(HW_CTRL_REQUIRE_CHECKED_BIT) : 0u), INT64_MAX);
  int failure;
  round.queue = hq_open(round.device, &rings, INT64_MAX, &failure);
  pthread_t threads[3];
  pthread_create(&threads[0], NULL, submit, &round);
  pthread_create(&threads[1], NULL, take, &round);
  pthread_create(&threads[2], NULL, meddle, &round);
  for (int thread = 0; thread < 3; ++thread) {
    pthread_join(threads[thread], NULL);
  }
  hd_counts_t counts;
  hd_counts(round.device, &counts);
  int wrong = (int)hw_get(&round.failed);
  if (!wrong && (counts.descriptors != lines || counts.tokens != round.tokens ||
                 counts.errors != round.errors || hw_get(&round.taken) != lines)) {
    fprintf(stderr, "the counters disagree with what was taken\n");
    wrong = 1;
  }
  hq_close(round.queue);
  hq_free(round.queue);
  hd_close(round.device);
  hd_free(round.device);
  free(segment);
  printf("%u lines, %u workers%s%s: %s\n", lines, workers, split ? ", two completion rings" : "",
         require_checked ? ", require checked" : "", wrong ? "WRONG" : "good");
  return wrong;
}

int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const uint32_t lines = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : 20000u;
  int wrong = lines == 0;
  for (uint32_t workers = 1; workers <= 4; ++workers) {
    for (int mode = 0; mode < 4; ++mode) {
      wrong |= run_round(lines, workers, mode & 1, mode >> 1);
    }
  }
  return wrong;
}
