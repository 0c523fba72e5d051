// SPDX-License-Identifier: Apache-2.0
//
// Rings of trace events, one for each thread that writes any [TRC-003]. A ring is its owner's memory,
// which is read while its thread stands still. Valid in C11, C++ and CUDA C++, where a leg is all there is.
#ifndef HW_TRACE_H
#define HW_TRACE_H

#include "hw_rollouts.h"

#if defined(__CUDACC_RTC__)
#define HW_TRACE_INLINE static __device__ __forceinline__
#else
#define HW_TRACE_INLINE static inline
#endif

// Which line of its rollout a `user_data` names [TRC-002].
HW_TRACE_INLINE hw_u32 hw_leg(hw_u64 user_data) {
  return (hw_u32)(user_data >> HWR_USER_DATA_WINDOW_LSB) & 0xFFFFFFu;
}

#if !defined(__CUDACC_RTC__)
#include <time.h>

typedef struct hw_trace_ring {
  HW_ALIGNED(64) hwr_trace_head_t head;
} hw_trace_ring_t;

// The time-stamp counter; where there is none, nanoseconds.
static inline hw_u64 hw_stamp(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  hw_u64 now;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(now));
  return now;
#else
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (hw_u64)now.tv_sec * 1000000000u + (hw_u64)now.tv_nsec;
#endif
}

static inline void hw_trace(hw_trace_ring_t *ring, hw_u32 event, hw_u32 rollout, hw_u32 leg,
                            hw_u32 detail, hw_u32 clock, hw_u64 device) {
  hwr_trace_t *to = (hwr_trace_t *)(ring + 1) + (ring->head.written & ring->head.mask);
  to->host = hw_stamp();
  to->device = device;
  to->rollout = rollout;
  to->leg = leg;
  to->event = (hw_u16)event;
  to->clock = (hw_u16)clock;
  to->detail = detail;
  ++ring->head.written;
}

#endif

#endif  // HW_TRACE_H
