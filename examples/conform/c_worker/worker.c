// SPDX-License-Identifier: Apache-2.0
//
// A worker behind the C ABI of the conformance kit: the stream level over the project's own header.
// A foreign worker replaces the two calls of hw_worker.h by its own.
#include "descring_dut.h"
#include "hw_worker.h"

uint32_t descring_dut_abi(void) { return DESCRING_DUT_ABI; }

int descring_dut_run(const descring_stream_t *stream, const void *lines, size_t count, void *done,
                     size_t *done_count, void *reward, size_t *reward_count) {
  const hw_desc_t *in = (const hw_desc_t *)lines;
  hw_desc_t *const rings[2] = {(hw_desc_t *)done, (hw_desc_t *)reward};
  size_t posted[2] = {0, 0};
  for (size_t at = 0; at < count; ++at) {
    hw_desc_t line = in[at];
    const hw_step_t step = hw_worker_step(&line, stream->first_index + (uint32_t)at,
                                          (stream->flags & DESCRING_REQUIRE_CHECKED) != 0);
    const int ring = step.reward && (stream->flags & DESCRING_SPLIT_REWARD);
    if (step.seal) {
      hw_worker_seal(&line, stream->first_index + (uint32_t)posted[ring]);
    }
    rings[ring][posted[ring]++] = line;
    if (step.stop && (stream->flags & DESCRING_HALT)) {
      break;
    }
  }
  *done_count = posted[0];
  *reward_count = posted[1];
  return 0;
}
