// SPDX-License-Identifier: Apache-2.0
//
// What the persistent worker is measured against: a flag there and back, and a kernel that serves
// one descriptor a launch.
#include "crc.cuh"
#include "rings.cuh"

// Copy each number that appears in `request` to `response`, with acquire loads.
extern "C" __global__ void pingpong(hw_u32 *request, hw_u32 *response, hw_u32 last, hw_u64 limit_ns) {
  const hw_u64 start = hw_nanoseconds();
  for (hw_u32 next = 1; next <= last; ++next) {
    hw_u32 seen;
    do {
      asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(seen) : "l"(request) : "memory");
      if (hw_nanoseconds() - start > limit_ns) {
        return;
      }
    } while (seen != next);
    asm volatile("st.release.sys.global.u32 [%0], %1;" :: "l"(response), "r"(next) : "memory");
  }
}

// One descriptor: the submission of index `*index` becomes its completion.
extern "C" __global__ void once(const hw_desc_t *submission, hw_desc_t *completion,
                                const hw_u32 *index) {
  const hw_team<32> team = {threadIdx.x};
  hw_words_t words;
  words.line = *submission;
  if (words.line.flags & HW_FLAG_CHECKED) {
    hw_crc_fill(team);
  }
  if (threadIdx.x == 0) {
    const hw_step_t step = hw_worker_step(&words.line, *index, 0);
    if (step.seal) {
      hw_worker_seal(&words.line, *index);
    }
    *completion = words.line;
  }
}
