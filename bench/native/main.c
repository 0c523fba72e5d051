// SPDX-License-Identifier: Apache-2.0
//
// Native measurements of the host runtime, as rows of JSON. bench/host_bench.py and
// bench/rollouts_bench.py repeat this; by hand: host_native rings LINES | queue LINES | latency SAMPLES |
// wake SAMPLES | rollouts ROUNDS | windows LINES | pipeline ROLLOUTS | kv ROUNDS.
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

int main(int count, char **arguments) {
  const char *what = count == 3 ? arguments[1] : "";
  const uint32_t size = count == 3 ? (uint32_t)strtoul(arguments[2], NULL, 10) : 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (strcmp(what, "rings") == 0 && size > 0) {
    measure_line(1000000);
    measure_rings(size);
  } else if (strcmp(what, "queue") == 0 && size > 0) {
    measure_queue(size, IN_THREAD);
    measure_queue(size, IN_PROCESS);
  } else if (strcmp(what, "one") == 0 && size >= 1000) {
    measure_one(size);
    measure_round_trips(size < 100000 ? size : 100000, 1, IN_THREAD);
  } else if (strcmp(what, "latency") == 0 && size >= 1000 && size <= SAMPLES_MAX) {
    for (uint32_t batch = 1; batch <= BATCH_MAX; batch *= 8) {
      measure_round_trips(size, batch, IN_THREAD);
      measure_round_trips(size, batch, IN_PROCESS);
    }
  } else if (strcmp(what, "wake") == 0 && size >= 100 && size <= SAMPLES_MAX) {
    measure_wakes(size, IN_THREAD);
    measure_wakes(size, IN_PROCESS);
    measure_wakes(size, ON_SAME_CPU);
  } else if (strcmp(what, "rollouts") == 0 && size >= 10000) {
    measure_slab(size);
    measure_arena(size);
    measure_tree(size);
    measure_policies(size / 4);
    measure_trace(size);
  } else if (strcmp(what, "windows") == 0 && size > 0) {
    measure_windows(size);
  } else if (strcmp(what, "pipeline") == 0 && size >= 16 && size <= 1u << 24) {
    measure_pipeline(size);
  } else if (strcmp(what, "kv") == 0 && size > 0) {
    measure_kv(size);
  } else {
    fprintf(stderr, "usage: host_native rings LINES | queue LINES | one LINES | latency SAMPLES |"
                    " wake SAMPLES |"
                    " rollouts ROUNDS | windows LINES | pipeline ROLLOUTS | kv ROUNDS\n");
    return 2;
  }
  return 0;
}
