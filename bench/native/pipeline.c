// SPDX-License-Identifier: Apache-2.0
//
// Whole runs of rollouts over the native worker, windows alone, and the reference's own pipeline on
// the same work. Each run is checked: what was delivered, its tokens, and that nothing is held.
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "rollouts/pipe.h"

enum { LOG2 = 12, PROMPT = 64, LONGEST = 320, SAMPLES = 16, SLOTS = 1024 };
static const int64_t PATIENCE_NS = 10ll * 1000 * 1000 * 1000;

void measure_windows(uint32_t lines) {
  static const uint32_t sizes[] = {32, 1};
  for (int at = 0; at < 2; ++at) {
    bench_t bench = open_bench(LOG2, IN_THREAD);
    there_and_back(bench.queue, lines / 8 + 1, sizes[at], 1u << (LOG2 - 1));  // warms up
    print_rate("windows, there and back", sizes[at],
               there_and_back(bench.queue, lines, sizes[at], 1u << (LOG2 - 1)));
    close_bench(&bench);
  }
}

static double run(uint32_t rollouts, uint32_t window, uint32_t depth, uint32_t options, int keep_log,
                  int traced) {
  const hwr_config_t config = {.slots = SLOTS,
                               .decode_credits = HWR_NONE,
                               .reward_credits = HWR_NONE,
                               .trajectory_credits = HWR_NONE,
                               .kv_blocks = 1 << 16,
                               .window = window,
                               .depth = depth,
                               .ring_slots = 1 << LOG2,
                               .policy = HWR_POLICY_FIFO,
                               .overtake = HWR_NONE,
                               .score_ticks = 1,
                               .deliver = HWR_NONE,
                               .seats = HWR_NONE,
                               .options = HWR_OPTION_SHARE | HWR_OPTION_FINAL_REWARD | options};
  hwr_request_t *requests = zeroed(rollouts * sizeof *requests);
  for (uint32_t at = 0; at < rollouts; ++at) {
    requests[at] = (hwr_request_t){.group = at / SAMPLES,
                                   .sample = at % SAMPLES,
                                   .prompt_tokens = PROMPT,
                                   .max_tokens = LONGEST,
                                   .cancel = HWR_NONE};
  }
  int error;
  hr_pipe_t *pipe = hr_pipe_open(&config, requests, rollouts, NULL, keep_log, &error);
  if (!pipe) {
    fail("no memory for a run", rollouts);
  }
  bench_t bench = open_bench(LOG2, IN_THREAD);
  hw_trace_ring_t *rings[2] = {NULL, NULL};
  if (traced) {
    rings[0] = open_trace();
    rings[1] = open_trace();
    hr_pipe_trace(pipe, rings[0]);
    if (hd_trace(bench.device, 0, rings[1])) {
      fail("no trace of the worker", 0);
    }
  }
  const double start = seconds();
  error = hr_pipe_run(pipe, bench.queue, UINT64_MAX, PATIENCE_NS);
  const double took = seconds() - start;
  const double rate = (double)pipe->counter[HWR_COUNTER_LEGS] / took;
  const hwr_record_t *end = &pipe->log[pipe->log_count - 1u];
  if (error || !pipe->finished || end->code != HWR_EVENT_END || end->a != rollouts ||
      end->d != (uint64_t)rollouts * (LONGEST - PROMPT) || pipe->arena->in_use ||
      pipe->arena->reserved || pipe->credits[HR_DECODE].used ||
      pipe->counter[HWR_COUNTER_LEGS] != (uint64_t)rollouts * ((LONGEST - PROMPT) / HWR_BLOCK_TOKENS)) {
    fail("the run did not end as it must", (uint32_t)-error);
  }
  close_bench(&bench);
  for (int at = 0; at < 2 && traced; ++at) {
    // An event of each leg at least, in the pipeline and in the worker.
    if (rings[at]->head.written < pipe->counter[HWR_COUNTER_LEGS]) {
      fail("events are missing", (uint32_t)rings[at]->head.written);
    }
    free(rings[at]);
  }
  hr_pipe_close(pipe);
  free(requests);
  return rate;
}

static void print_legs(const char *what, const char *detail, double legs_per_s) {
  printf("{\"what\": \"%s\", \"case\": \"%s\", \"legs_per_s\": %.0f}\n", what, detail, legs_per_s);
}

void measure_pipeline(uint32_t rollouts) {
  run(rollouts / 8 + 1, 256, 2, 0, 0, 0);  // warms up
  print_legs("pipeline", "windows of 256, depth 2", run(rollouts, 256, 2, 0, 0, 0));
  print_legs("pipeline", "windows of 32, depth 8", run(rollouts, 32, 8, 0, 0, 0));
  print_legs("pipeline, log kept", "windows of 256, depth 2", run(rollouts, 256, 2, 0, 1, 0));
  print_legs("pipeline, traced", "windows of 256, depth 2", run(rollouts, 256, 2, 0, 0, 1));
  print_legs("pipeline, tags written and read", "windows of 256, depth 2",
             run(rollouts, 256, 2, HWR_OPTION_CHECK_KV, 0, 0));
  print_legs("the reference's pipeline", "batches of 32",
             reference_pipeline(rollouts, PROMPT, LONGEST));
}
