// SPDX-License-Identifier: Apache-2.0
//
// The kernels on a CPU: a thread stands for a block, or for a warp that has a task of its own. Only the
// machine underneath differs (port.cuh); the control logic is the text that NVRTC compiles.
#include <thread>
#include <vector>

#include "latency.cuh"
#include "throughput.cuh"

namespace {

struct worker_set {
  hw_hub hub{};
  hw_desk desk{};
  hw_mailbox box{};
  hw_round<HW_LATENCY_LINES> round{};
  std::vector<std::thread> threads;
};

}  // namespace

// Start a worker of either shape on a link; `workers` 0 is the latency shape.
extern "C" void *hw_emulate(const hw_link_t *link, hw_u32 workers) {
  const hw_team<1> team = {0};
  auto *set = new worker_set;
  static const bool filled = (hw_crc_fill(team), hw_crc_fill_half_bytes(team), true);
  (void)filled;
  if (workers == 0) {
    set->threads.emplace_back(
        [link, set, team] { hw_latency_worker(link, &set->desk, &set->box, &set->round, team); });
    set->threads.emplace_back([link, set, team] { hw_latency_publisher(link, &set->desk, team); });
    set->threads.emplace_back([link, set, team] { hw_scout(link->newest, &set->box, team); });
    return set;
  }
  set->threads.emplace_back([link, set, workers, team] {
    hw_coordinator_state state{};
    hw_coordinator(link, &set->hub, &state, workers, team);
  });
  for (hw_u32 worker = 0; worker < workers; ++worker) {
    set->threads.emplace_back([set, worker, team] {
      hw_worker_state state{};
      hw_throughput_worker(&set->hub, &state, worker, team);
    });
  }
  return set;
}

// Wait for its end, which the link has asked for.
extern "C" void hw_emulate_join(void *handle) {
  auto *set = static_cast<worker_set *>(handle);
  for (auto &thread : set->threads) {
    thread.join();
  }
  delete set;
}
