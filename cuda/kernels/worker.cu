// SPDX-License-Identifier: Apache-2.0
//
// The persistent kernels, one launch per device. They end on the stop word, when the heartbeat stops,
// or at their deadline.
#include "latency.cuh"
#include "throughput.cuh"

static_assert(sizeof(hw_hub) <= 4096 && sizeof(hw_desk) <= 4096, "what descring_cuda allocates");

// A warp that acts, its publisher, and its scout.
extern "C" __global__ void __launch_bounds__(96) hw_latency(const hw_link_t *link, hw_desk *desk) {
  __shared__ hw_round<HW_LATENCY_LINES> round;
  __shared__ hw_mailbox box;
  if (threadIdx.x < 2) {
    box.ends[threadIdx.x] = 0;
  }
  hw_crc_fill(hw_team<96>{threadIdx.x});
  hw_crc_fill_half_bytes(hw_team<96>{threadIdx.x});
  const hw_team<32> team = {threadIdx.x % 32};
  switch (threadIdx.x / 32) {
    case 0: return hw_latency_worker(link, desk, &box, &round, team);
    case 1: return hw_latency_publisher(link, desk, team);
    default: return hw_scout(link->newest, &box, team);
  }
}

// Block 0 coordinates, the others work.
extern "C" __global__ void __launch_bounds__(HW_ROUND_LINES)
    hw_throughput(const hw_link_t *link, hw_hub *hub) {
  __shared__ union {
    hw_worker_state worker;
    hw_coordinator_state coordinator;
  } state;
  if (blockIdx.x == 0) {
    if (threadIdx.x < 32) {
      hw_coordinator(link, hub, &state.coordinator, gridDim.x - 1u, hw_team<32>{threadIdx.x});
    }
    return;
  }
  const hw_team<HW_ROUND_LINES> team = {threadIdx.x};
  hw_crc_fill(team);
  hw_throughput_worker(hub, &state.worker, blockIdx.x - 1u, team);
}
