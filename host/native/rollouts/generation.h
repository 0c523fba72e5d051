// SPDX-License-Identifier: Apache-2.0
//
// Handles {generation 32, index 32}: why one is not that of the present generation [ROLL-005] [KV-003].
#ifndef HR_GENERATION_H
#define HR_GENERATION_H

#include <stdint.h>

#include "hw_rollouts.h"

typedef struct hw_queue hw_queue_t;  // of ../api.h, which has no guard
#include "rollouts/rollouts.h"

// An error of the contract as calls return it.
#define HR_E(name) (-(int)HWR_ERROR_##name)

static inline uint32_t hr_generation(uint64_t handle) { return (uint32_t)(handle >> 32); }

static inline uint64_t hr_handle(uint32_t generation, uint32_t index) {
  return (uint64_t)generation << 32 | index;
}

static inline uint32_t hr_next_generation(uint32_t generation) {
  return generation + 1u ? generation + 1u : 1u;  // 0 is none
}

// 0 where `given` is the present generation.
static inline int hr_generation_error(uint32_t given, uint32_t present, int is_free) {
  if (given == present) {
    return 0;
  }
  if (is_free) {
    return present == hr_next_generation(given) ? HR_E(FREED) : HR_E(STALE);
  }
  return present - given < 1u << 31 ? HR_E(REUSED) : HR_E(STALE);
}

#endif  // HR_GENERATION_H
