// SPDX-License-Identifier: Apache-2.0
//
// The resident shape on a CPU: a thread is a block, and the threads of a worker block are fibers on it;
// the coordinator, which is one warp, is one thread.
#define __global__
#define __launch_bounds__(...)

#include <thread>
#include <vector>

#include "engine.cc"
#include "coordinator.cuh"
#include "resident.cuh"

namespace {

struct resident_set {
  std::vector<std::thread> threads;
};

}  // namespace

// Start the coordinator and so many worker blocks; the lobby and all that it points to is the caller's.
extern "C" void *hw_emulate_resident(const hw_link_t *link, hw_lobby *lobby, hw_u32 workers,
                                     hw_u32 draws) {
  static const bool filled = (hw_crc_fill(hw_team<1>{0}), true);
  (void)filled;
  auto *set = new resident_set;
  set->threads.emplace_back([=] {
    hw_desk_state state{};
    hw_resident_coordinator(link, lobby, &state, hw_team<1>{0});
  });
  for (hw_u32 worker = 0; worker < workers; ++worker) {
    set->threads.emplace_back([=] {
      const std::function<void()> body = [=] {
        HW_BLOCK_SHARED hw_resident_room<4> room;
        hw_resident_worker<4>(lobby, draws, &room);
      };
      hw_simt::run(worker + 1u, workers + 1u, HWE_THREADS, body);
    });
  }
  return set;
}

// Wait for its end, which the link has asked for.
extern "C" void hw_emulate_join(void *handle) {
  auto *set = static_cast<resident_set *>(handle);
  for (auto &thread : set->threads) {
    thread.join();
  }
  delete set;
}
