// SPDX-License-Identifier: Apache-2.0
//
// The persistent kernels, one launch a device. They end when the host says so, when its heart stops,
// or at their deadline.
#include "latency.cuh"
#include "throughput.cuh"

extern "C" __global__ void __launch_bounds__(32) hw_latency(const hw_link_t *link) {
  __shared__ hw_latency_state state;
  const hw_team<32> team = {threadIdx.x};
  hw_crc_fill(team);
  hw_latency_worker(link, &state, team);
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
  hw_throughput_worker(hub, &state.worker, team);
}
