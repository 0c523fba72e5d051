// SPDX-License-Identifier: Apache-2.0
//
// What the engine is measured against: reading the same bytes, and attention whose sums have no fixed
// order. Compiled behind the engine's own text.

// Keys and values that differ everywhere, of magnitude below 2.6.
extern "C" __global__ void fill(hw_u32 *words, hw_u64 count, hw_u32 seed) {
  const hw_u64 stride = (hw_u64)gridDim.x * blockDim.x;
  for (hw_u64 at = blockIdx.x * (hw_u64)blockDim.x + threadIdx.x; at < count; at += stride) {
    const hw_u32 drawn = hwe_mix((hw_u32)at ^ seed ^ (hw_u32)(at >> 32) * HWE_GOLDEN_32);
    const float low = (float)(int)((drawn & 0x7FFu) - 1024u) / 394.0f;
    const float high = (float)(int)((drawn >> 16 & 0x7FFu) - 1024u) / 394.0f;
    words[at] = hw_to_half(low) | (hw_u32)hw_to_half(high) << 16;
  }
}

extern "C" __global__ void sweep(const uint4 *from, hw_u64 count, hw_u32 *found) {
  hw_u32 all = 0;
  const hw_u64 stride = (hw_u64)gridDim.x * blockDim.x;
  for (hw_u64 at = blockIdx.x * (hw_u64)blockDim.x + threadIdx.x; at < count; at += stride) {
    const uint4 four = __ldcs(from + at);
    all ^= four.x ^ four.y ^ four.z ^ four.w;
  }
  if (all == 12345u) {
    *found = all;
  }
}

// 8 independent chains a thread of `count` fused multiply-adds each.
extern "C" __global__ void multiply_add(hw_u32 count, float *found) {
  float sum[8];
  for (int chain = 0; chain < 8; ++chain) {
    sum[chain] = (float)(threadIdx.x + chain);
  }
  for (hw_u32 at = 0; at < count; ++at) {
    HW_UNROLL
    for (int chain = 0; chain < 8; ++chain) {
      sum[chain] = __fmaf_rn(sum[chain], 0.999f, 0.5f);
    }
  }
  float all = 0.0f;
  for (int chain = 0; chain < 8; ++chain) {
    all += sum[chain];
  }
  if (all == 12345.0f) {
    *found = all;
  }
}

HW_DEV float free_exp2(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
}

// The same tasks, loads and joins of partial results; within a chunk the fastest order: weights by the
// hardware's exp2, sums by fused multiply-add into one accumulator, rescaled as the maximum grows.
extern "C" __global__ void __launch_bounds__(128, 2)
    free_attention(const hwe_engine_t *shared_engine) {
  HW_BLOCK_SHARED hwe_engine_t engine;
  if (threadIdx.x == 0) {
    engine = *shared_engine;
  }
  __syncthreads();
  const hw_u32 number = engine.control->number % HWE_STEPS, lane = threadIdx.x % 32;
  hwe_step_t *step = &engine.control->step[number];
  const hwe_task *tasks = engine.tasks + (hw_u64)number * engine.task_capacity;
  const hw_u32 count = __ldcg(&step->tasks);
  hw_u32 place = __shfl_sync(HW_ALL_LANES, hwe_take(step, lane), 0);
  if (place >= count) {
    return;
  }
  hw_u32 taken = hwe_take(step, lane);
  hwe_lead lead = hwe_lead_in(engine, hwe_load_task(tasks + place), lane);
  HW_ONE_BY_ONE
  for (bool more = true; more;) {
    place = __shfl_sync(HW_ALL_LANES, taken, 0);
    more = place < count;
    const hwe_task task = lead.task;
    hwe_task next = task;
    if (more) {
      next = hwe_load_task(tasks + place);
      taken = hwe_take(step, lane);
    }
    const hw_u32 first = task.number * engine.task_blocks;
    int reference = -1000000;
    float sum = 0.0f, value[8] = {};
    HW_ONE_BY_ONE
    for (hw_u32 at = 0; at < lead.blocks; ++at) {
      const hw_u64 block_number = __shfl_sync(HW_ALL_LANES, lead.mine, at);
      const uint4 *block = (const uint4 *)(engine.arena + block_number * HWE_BLOCK_BYTES);
      uint4 keys[16], values[16];
      HW_UNROLL
      for (int row = 0; row < 16; ++row) {
        keys[row] = __ldcs(block + 32 * row + lane);
      }
      HW_UNROLL
      for (int row = 0; row < 16; ++row) {
        values[row] = __ldcs(block + HWE_BLOCK_PARTS / 2 + 32 * row + lane);
      }
      const hw_u32 position = (first + at) * HWE_BLOCK_TOKENS;
      const hw_u32 token = 2u * (lane % 16u) + lane / 16u;
      const bool present = position + token < task.tokens;
      const float score = hwe_scores(keys, lead.query, position + token, lane);
      const int greater = max(reference, __reduce_max_sync(HW_ALL_LANES,
                                present ? (int)ceilf(score) : -1000000));
      const float scale = free_exp2((float)(reference - greater));
      const float weight = present ? free_exp2(score - (float)greater) : 0.0f;
      reference = greater;
      sum = fmaf(sum, scale, weight);
      HW_UNROLL
      for (int dim = 0; dim < 8; ++dim) {
        value[dim] *= scale;
      }
      HW_UNROLL
      for (int row = 0; row < 16; ++row) {
        const float w = __shfl_sync(HW_ALL_LANES, weight, (lane & 16u) + row);
        float wide[8];
        hwe_widen(values[row], wide);
        HW_UNROLL
        for (int dim = 0; dim < 8; ++dim) {
          value[dim] = fmaf(w, wide[dim], value[dim]);
        }
      }
    }
    for (int step_of = 16; step_of; step_of >>= 1) {
      sum += __shfl_xor_sync(HW_ALL_LANES, sum, step_of);
    }
    hwe_node node = {reference, sum, {}};
    const bool upper = lane & 16u;
    HW_UNROLL
    for (int dim = 0; dim < 4; ++dim) {
      const float give = upper ? value[dim] : value[dim + 4];
      node.value[dim] = (upper ? value[dim + 4] : value[dim]) + __shfl_xor_sync(HW_ALL_LANES, give, 16);
    }
    if (more) {
      lead = hwe_lead_in(engine, next, lane);
    }
    hwe_deliver(engine, task, node, lane, 0);
  }
}

// The engine's attention with fewer registers, and more warps at a time.
extern "C" __global__ void __launch_bounds__(128, 3)
    narrow_attention(const hwe_engine_t *shared_engine) {
  HW_BLOCK_SHARED hwe_engine_t engine;
  if (threadIdx.x == 0) {
    engine = *shared_engine;
  }
  __syncthreads();
  const hw_u32 number = engine.control->number % HWE_STEPS;
  hwe_attend_all(engine, &engine.control->step[number],
                 engine.tasks + (hw_u64)number * engine.task_capacity, threadIdx.x % 32);
}
