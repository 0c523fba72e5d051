// SPDX-License-Identifier: Apache-2.0
//
// The engine's attention with keys and values copied ahead into shared memory by cp.async: DEPTH planes
// of a block (8 KiB, K or V) a warp are in flight. Compiled behind the engine's own text. Each lane copies
// what it will read itself, so that waiting for its own copies is enough.

#define PLANE_PARTS (16 * 32)

HW_DEV void copy_ahead(uint4 *to, const uint4 *from) {
  const hw_u32 shared = (hw_u32)__cvta_generic_to_shared(to);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared), "l"(from));
}

template <int Waiting>
HW_DEV void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Waiting) : "memory");
}

// Begin to copy a plane of the task, if it has so many; a group of copies in any case.
HW_DEV void begin_plane(const hwe_engine_t &engine, const hwe_lead &lead, hw_u32 plane, bool any,
                        uint4 *slot, hw_u32 lane) {
  const hw_u64 number = __shfl_sync(HW_ALL_LANES, lead.mine, (plane / 2u) % 32u);
  if (any && plane < 2u * lead.blocks) {
    const uint4 *from = (const uint4 *)(engine.arena + number * HWE_BLOCK_BYTES) +
                        (plane % 2u) * (HWE_BLOCK_PARTS / 2);
    HW_UNROLL
    for (int row = 0; row < 16; ++row) {
      copy_ahead(slot + 32 * row + lane, from + 32 * row + lane);
    }
  }
  asm volatile("cp.async.commit_group;");
}

template <int Depth>
HW_DEV void staged_all(const hwe_engine_t *shared_engine, uint4 *stages) {
  HW_BLOCK_SHARED hwe_engine_t engine;
  if (threadIdx.x == 0) {
    engine = *shared_engine;
  }
  __syncthreads();
  const hw_u32 step_number = engine.control->number % HWE_STEPS, lane = threadIdx.x % 32;
  uint4 *mine = stages + (threadIdx.x / 32) * (Depth * PLANE_PARTS);
  hwe_step_t *step = &engine.control->step[step_number];
  const hwe_task *tasks = engine.tasks + (hw_u64)step_number * engine.task_capacity;
  const hw_u32 count = __ldcg(&step->tasks);
  hw_u32 place = __shfl_sync(HW_ALL_LANES, hwe_take(step, lane), 0);
  if (place >= count) {
    return;
  }
  hwe_lead lead = hwe_lead_in(engine, hwe_load_task(tasks + place), lane);
  hw_u32 slot = 0;  // of the plane that is used next
  bool primed = false;
  HW_ONE_BY_ONE
  for (;;) {
    if (!primed) {
      HW_UNROLL
      for (int ahead = 0; ahead < Depth; ++ahead) {
        begin_plane(engine, lead, ahead, true, mine + (slot + ahead) % Depth * PLANE_PARTS, lane);
      }
    }
    place = __shfl_sync(HW_ALL_LANES, hwe_take(step, lane), 0);
    const bool more = place < count;
    hwe_lead next = lead;
    if (more) {
      next = hwe_lead_in(engine, hwe_load_task(tasks + place), lane);
    }
    const hw_u32 first = lead.task.number * engine.task_blocks, planes = 2u * lead.blocks;
    primed = more && planes >= Depth;  // the last planes of a task make room for the next one's first
    hwe_tree tree;
    int bad = 0;
    HW_ONE_BY_ONE
    for (hw_u32 at = 0; at < lead.blocks; ++at) {
      const hw_u32 position = (first + at) * HWE_BLOCK_TOKENS;
      const hw_u32 tokens = min(lead.task.tokens - position, HWE_BLOCK_TOKENS + 0u);
      const hw_u32 token = 2u * (lane % 16u) + lane / 16u;
      const bool present = token < tokens;
      uint4 rows[16];
      wait_for_copies<Depth - 1>();
      HW_UNROLL
      for (int row = 0; row < 16; ++row) {
        rows[row] = mine[slot * PLANE_PARTS + 32 * row + lane];
      }
      float score = hwe_scores(rows, lead.query, position + token, lane);
      // The scores need every row, so the slot has been read.
      const hw_u32 ahead_k = 2u * at + Depth;
      begin_plane(engine, ahead_k < planes ? lead : next, ahead_k < planes ? ahead_k : ahead_k - planes,
                  ahead_k < planes || primed, mine + slot * PLANE_PARTS, lane);
      slot = slot + 1u == Depth ? 0u : slot + 1u;
      if (present && hwe_is_bad(score)) {
        bad = 1;
        score = 0.0f;
      }
      hwe_node node;
      node.reference = __reduce_max_sync(HW_ALL_LANES, present ? (int)ceilf(score) : -0x7FFFFFFF);
      const float weight = present ? hwe_exp2(__fsub_rn(score, (float)node.reference)) : 0.0f;
      node.weight = __fadd_rn(weight, __shfl_xor_sync(HW_ALL_LANES, weight, 16));
      HW_UNROLL
      for (int bit = 1; bit < 16; bit <<= 1) {
        node.weight = __fadd_rn(node.weight, __shfl_xor_sync(HW_ALL_LANES, node.weight, bit));
      }
      wait_for_copies<Depth - 1>();
      HW_UNROLL
      for (int row = 0; row < 16; ++row) {
        const bool there = tokens == HWE_BLOCK_TOKENS || 2u * row + lane / 16u < tokens;
        rows[row] = there ? mine[slot * PLANE_PARTS + 32 * row + lane] : uint4{0, 0, 0, 0};
      }
      hwe_values(rows, weight, lane, node.value);
      const hw_u32 ahead_v = 2u * at + 1u + Depth;
      begin_plane(engine, ahead_v < planes ? lead : next, ahead_v < planes ? ahead_v : ahead_v - planes,
                  ahead_v < planes || primed, mine + slot * PLANE_PARTS, lane);
      slot = slot + 1u == Depth ? 0u : slot + 1u;
      tree.add(at, node);
    }
    const hwe_node node = tree.root(lead.blocks);
    const hwe_task task = lead.task;
    hwe_deliver(engine, task, node, lane, (int)(__ballot_sync(HW_ALL_LANES, bad) != 0));
    if (!more) {
      return;
    }
    lead = next;
  }
}

extern __shared__ uint4 staged_planes[];

#define STAGED(depth)                                                        \
  extern "C" __global__ void __launch_bounds__(128, 1)                       \
      staged_attention_##depth(const hwe_engine_t *engine) {                 \
    staged_all<depth>(engine, staged_planes);                                \
  }
STAGED(1)
STAGED(2)
STAGED(3)
STAGED(4)
STAGED(5)
STAGED(6)
