// SPDX-License-Identifier: Apache-2.0
//
// The engine as kernels of its own: a step is hwe_attention, then hwe_tail (with a small vocabulary), or
// hwe_logits, hwe_draws and hwe_tail. All are launched for every seat there is; what to do is in the
// GPU's memory, so that a step can be replayed as a graph.
#include "step.cuh"

// Weights by their formulas, once: `count` threads and more.
extern "C" __global__ void hwe_weights(hw_u32 *matrices, float *bias) {
  hwe_make_weights(matrices, bias, blockIdx.x * blockDim.x + threadIdx.x);
}

extern "C" __global__ void hwe_unembed(hw_u32 *words, hw_u32 pairs, hw_u32 vocabulary) {
  const hw_u32 pair = blockIdx.x * blockDim.x + threadIdx.x;
  if (pair < pairs) {
    for (hw_u32 row = 0; row < HWE_DIMS; ++row) {
      words[row * pairs + pair] = hwe_make_unembedding(row, pair, vocabulary);
    }
  }
}

extern "C" __global__ void __launch_bounds__(128, 2)
    hwe_attention(const hwe_engine_t *shared_engine) {
  HW_BLOCK_SHARED hwe_engine_t engine;
  if (threadIdx.x == 0) {
    engine = *shared_engine;
  }
  __syncthreads();
  const hw_u32 number = engine.control->number % HWE_STEPS;
  hwe_attend_all(engine, &engine.control->step[number],
                 engine.tasks + (hw_u64)number * engine.task_capacity, threadIdx.x % 32);
}

template <hw_u32 Group>
HW_DEV void hwe_logits_kernel(const hwe_engine_t *shared_engine, hwe_outputs<Group> *room) {
  HW_BLOCK_SHARED hwe_engine_t engine;
  if (threadIdx.x == 0) {
    engine = *shared_engine;
  }
  __syncthreads();
  hwe_spread_logits<Group>(engine, blockIdx.x, gridDim.x, room);
}

extern "C" __global__ void __launch_bounds__(HWE_THREADS, 2)
    hwe_logits_16(const hwe_engine_t *engine) {
  HW_BLOCK_SHARED hwe_outputs<16> room;
  hwe_logits_kernel<16>(engine, &room);
}

extern "C" __global__ void __launch_bounds__(HWE_THREADS, 2)
    hwe_logits_32(const hwe_engine_t *engine) {
  HW_BLOCK_SHARED hwe_outputs<32> room;
  hwe_logits_kernel<32>(engine, &room);
}

// One block a seat; each entry of the tables 2^Spread times, which a long row is worth. Two kernels, as
// shared memory of another size than the neighbours' costs a switch before and behind.
template <hw_u32 Spread>
HW_DEV void hwe_draws_kernel(const hwe_engine_t *shared_engine,
                             hw_u32 (&tables)[2 * HWE_TABLE_ENTRIES << Spread]) {
  HW_BLOCK_SHARED hwe_engine_t engine;
  HW_BLOCK_SHARED hwe_drawing<hwe_row<1024>::bins> drawing;
  if (threadIdx.x == 0) {
    engine = *shared_engine;
  }
  __syncthreads();
  hwe_copy_tables<Spread>(engine, tables);
  __syncthreads();
  const hwe_seat &seat = engine.seats[blockIdx.x];
  if (seat.awaits && !seat.refused) {
    hwe_draw<1024, Spread>(engine, blockIdx.x, &drawing, tables);
  }
}

extern "C" __global__ void __launch_bounds__(1024) hwe_draws(const hwe_engine_t *engine) {
  HW_BLOCK_SHARED hw_u32 tables[2 * HWE_TABLE_ENTRIES];
  hwe_draws_kernel<0>(engine, tables);
}

extern "C" __global__ void __launch_bounds__(1024) hwe_long_draws(const hwe_engine_t *engine) {
  HW_BLOCK_SHARED hw_u32 tables[2 * HWE_TABLE_ENTRIES << 4];
  hwe_draws_kernel<4>(engine, tables);
}

// One block a group. The last one begins the next step.
template <hw_u32 Group>
HW_DEV void hwe_tail_kernel(const hwe_engine_t *shared_engine, hw_u32 draws,
                            hwe_room<Group> *room) {
  if (threadIdx.x == 0) {
    room->engine = *shared_engine;
  }
  __syncthreads();
  const hwe_engine_t &engine = room->engine;
  hwe_copy_tables<0>(engine, room->tables);
  const hw_u32 number = engine.control->number;
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    engine.control->step[(number + 2u) % HWE_STEPS] = hwe_step_t{};
  }
  hwe_tail<Group>(engine, blockIdx.x, (number + 1u) % HWE_STEPS, draws != 0, room);
  __syncthreads();
  if (threadIdx.x == 0 && atomicAdd(&engine.control->arrived, 1u) + 1u == gridDim.x) {
    engine.control->arrived = 0;
    engine.control->number = number + 1u;
  }
}

extern "C" __global__ void __launch_bounds__(HWE_THREADS)
    hwe_tail_4(const hwe_engine_t *engine, hw_u32 draws) {
  HW_BLOCK_SHARED hwe_room<4> room;
  hwe_tail_kernel<4>(engine, draws, &room);
}

extern "C" __global__ void __launch_bounds__(HWE_THREADS)
    hwe_tail_8(const hwe_engine_t *engine, hw_u32 draws) {
  HW_BLOCK_SHARED hwe_room<8> room;
  hwe_tail_kernel<8>(engine, draws, &room);
}

extern "C" __global__ void __launch_bounds__(HWE_THREADS)
    hwe_tail_16(const hwe_engine_t *engine, hw_u32 draws) {
  HW_BLOCK_SHARED hwe_room<16> room;
  hwe_tail_kernel<16>(engine, draws, &room);
}

extern "C" __global__ void __launch_bounds__(HWE_THREADS, 2)
    hwe_tail_32(const hwe_engine_t *engine, hw_u32 draws) {
  HW_BLOCK_SHARED hwe_room<32> room;
  hwe_tail_kernel<32>(engine, draws, &room);
}
