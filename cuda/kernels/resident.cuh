// SPDX-License-Identifier: Apache-2.0
//
// The worker blocks of the resident shape: steps of the engine, with a barrier between their phases.
#ifndef HW_RESIDENT_CUH
#define HW_RESIDENT_CUH

#include "lobby.cuh"
#include "step.cuh"

// Where all worker blocks meet. 0: they end. What any wrote before is visible to all behind it.
HW_DEV hw_u32 hw_barrier(hw_lobby *lobby, hw_u32 *shared_word) {
  __syncthreads();
  if (threadIdx.x == 0) {
    const hw_u32 before = hw_load_word_device(&lobby->word);
    __threadfence();
    if (atomicAdd(&lobby->arrived, 1u) + 1u == gridDim.x - 1u) {
      const hw_u32 ends = hw_load_word_device(&lobby->stop);
      hw_store_word_device(&lobby->arrived, 0);
      hw_fence_device();
      hw_store_word_device(&lobby->word, before + 2u + ends);
    }
    hw_u32 word;
    while ((word = hw_load_word_device(&lobby->word)) == before) {
      hw_look_again();
    }
    hw_fence_device();
    *shared_word = word;
  }
  __syncthreads();
  const hw_u32 word = *shared_word;
  __syncthreads();
  return !(word & 1u);
}

template <hw_u32 Group>
struct hw_resident_room {
  hwe_room<Group> room;
  hw_u32 word;
};

template <hw_u32 Group>
HW_DEV void hw_resident_worker(hw_lobby *lobby, hw_u32 draws, hw_resident_room<Group> *mine) {
  hwe_room<Group> *room = &mine->room;
  if (threadIdx.x == 0) {
    room->engine = *lobby->engine;
  }
  __syncthreads();
  const hwe_engine_t &engine = room->engine;
  const hw_u32 worker = blockIdx.x - 1u, workers = gridDim.x - 1u;
  hwe_copy_tables<0>(engine, room->tables);
  for (hw_u32 number = 0;; ++number) {
    const hw_u32 now = number % HWE_STEPS, next = (number + 1u) % HWE_STEPS;
    hwe_step_t *step = engine.control->step;
    hwe_attend_all(engine, &step[now], engine.tasks + (hw_u64)now * engine.task_capacity,
                   threadIdx.x % 32);
    if (!hw_barrier(lobby, &mine->word)) {
      return;
    }
    if (!draws) {  // a vocabulary so large that logits and draws are spread over all blocks
      hwe_spread_logits<Group>(engine, worker, workers, &room->bench);
      if (!hw_barrier(lobby, &mine->word)) {
        return;
      }
      for (hw_u32 seat = worker; seat < engine.seat_count; seat += workers) {
        if (engine.seats[seat].awaits && !engine.seats[seat].refused) {
          hwe_draw<HWE_THREADS>(engine, seat, &room->bench.wide, room->tables);
        }
      }
      __syncthreads();
      if (!hw_barrier(lobby, &mine->word)) {
        return;
      }
    }
    if (worker == 0 && threadIdx.x == 0) {
      step[(number + 2u) % HWE_STEPS] = hwe_step_t{};
      hw_store_word_device(&lobby->steps, number + 1u);
    }
    for (hw_u32 group = worker; group * Group < engine.seat_count; group += workers) {
      hwe_tail<Group>(engine, group, next, draws != 0, room);
    }
    if (!hw_barrier(lobby, &mine->word)) {
      return;
    }
  }
}

#endif  // HW_RESIDENT_CUH
