// SPDX-License-Identifier: Apache-2.0
//
// Attention of one query over a paged sequence [ATT-001..ATT-007]: a task is an aligned power of two
// of blocks, one warp's work. The last warp of eight neighbouring tasks joins their partial results,
// and so on up the tree, so that no pass of its own follows; which warp that is does not matter.
#ifndef HW_ATTENTION_CUH
#define HW_ATTENTION_CUH

#include "seats.cuh"

// Rows of V that are loaded together with K; the others follow when K has been used, in its registers.
#define HWE_EARLY_ROWS 16

// A node of the tree over tokens. Lane 16 h + c of a warp has the dims 8 c + 4 h to 8 c + 4 h + 3.
struct hwe_node {
  int reference;
  float weight;
  float value[4];
};

// [ATT-005]
HW_DEV hwe_node hwe_join(const hwe_node &low, const hwe_node &high) {
  hwe_node joined;
  joined.reference = max(low.reference, high.reference);
  const float f = hwe_pow2(low.reference - joined.reference);
  const float g = hwe_pow2(high.reference - joined.reference);
  joined.weight = __fadd_rn(__fmul_rn(low.weight, f), __fmul_rn(high.weight, g));
  HW_UNROLL
  for (int at = 0; at < 4; ++at) {
    joined.value[at] = __fadd_rn(__fmul_rn(low.value[at], f), __fmul_rn(high.value[at], g));
  }
  return joined;
}

// The tree over at most 8 nodes that are given in order: bit k of their number so far tells whether
// level[k] waits for its neighbour.
struct hwe_tree {
  enum : int { Levels = 4 };
  hwe_node level[Levels];

  template <int At = 0>
  HW_METHOD void add(hw_u32 count, const hwe_node &leaf) {
    if (!(count >> At & 1u)) {
      level[At] = leaf;
    } else if constexpr (At + 1 < Levels) {
      add<At + 1>(count, hwe_join(level[At], leaf));
    }
  }
  // With one that has no token the other is the result [ATT-005].
  HW_METHOD hwe_node root(hw_u32 count) const {
    hwe_node all = {};
    bool any = false;
    HW_UNROLL
    for (int at = 0; at < Levels; ++at) {
      if (count >> at & 1u) {
        all = any ? hwe_join(level[at], all) : level[at];
        any = true;
      }
    }
    return all;
  }
};

struct hwe_query {
  float part[8];  // dims 8 c to 8 c + 7
};

HW_DEV void hwe_widen(const uint4 &halves, float (&value)[8]) {
  const hw_u32 word[4] = {halves.x, halves.y, halves.z, halves.w};
  HW_UNROLL
  for (int at = 0; at < 4; ++at) {
    const float2 two = hw_from_halves(word[at]);
    value[2 * at] = two.x;
    value[2 * at + 1] = two.y;
  }
}

HW_DEV hwe_query hwe_load_query(const hw_u16 *query, hw_u32 lane) {
  hwe_query mine;
  hwe_widen(__ldcg((const uint4 *)query + lane % 16), mine.part);
  return mine;
}

// Add the chunks of sixteen dots, which lie in sixteen lanes, in the order of NUM-002; each lane is left
// with one dot, in sum[0].
template <int Step>
HW_DEV void hwe_scatter(float (&sum)[16], hw_u32 lane) {
  const bool upper = lane & Step;
  HW_UNROLL
  for (int row = 0; row < Step; ++row) {
    const float keep = upper ? sum[row + Step] : sum[row];
    const float give = upper ? sum[row] : sum[row + Step];
    sum[row] = __fadd_rn(keep, __shfl_xor_sync(HW_ALL_LANES, give, Step));
  }
  if constexpr (Step > 1) {
    hwe_scatter<Step / 2>(sum, lane);
  }
}

// The 32 scores of a block: lane 16 h + c gets that of the block's token 2 c + h, which is `position`.
// Sixteen lanes have a row of K, a chunk of the dot each; adding the chunks scatters the sums.
HW_DEV float hwe_scores(const uint4 (&keys)[16], const hwe_query &query, hw_u32 position,
                        hw_u32 lane) {
  float sum[16];
  HW_UNROLL
  for (int row = 0; row < 16; ++row) {
    float key[8];
    hwe_widen(keys[row], key);
    sum[row] = __fmul_rn(query.part[0], key[0]);
    HW_UNROLL
    for (int at = 1; at < 8; ++at) {
      sum[row] = hwe_term<true>(sum[row], query.part[at], key[at]);
    }
  }
  hwe_scatter<8>(sum, lane);
  const float bias = __fmul_rn((float)(int)(position * HWE_SLOT_STEP >> 24), 1.0f / 128.0f);
  return __fadd_rn(__fmul_rn(sum[0], HWE_FLOAT(SCORE_SCALE)), bias);
}

// The values of a block, weighted [ATT-004]: lane 16 e + c has the rows of parity e, and the weight of
// token 2 i + e is lane 16 e + i's.
HW_DEV void hwe_values(const uint4 (&values)[16], float weight, hw_u32 lane, float (&sum)[4]) {
  float wait[4][8] = {}, row[8];
  HW_UNROLL
  for (int at = 0; at < 16; ++at) {
    const float w = __shfl_sync(HW_ALL_LANES, weight, (lane & 16u) + at);
    hwe_widen(values[at], row);
    HW_UNROLL
    for (int dim = 0; dim < 8; ++dim) {
      row[dim] = __fmul_rn(w, row[dim]);
    }
    hwe_add_chunk<0>((hw_u32)at, wait, row);
  }
  // The parities, the last bit of the tree: each half of the warp keeps four dims.
  const bool upper = lane & 16u;
  HW_UNROLL
  for (int dim = 0; dim < 4; ++dim) {
    const float keep = upper ? row[dim + 4] : row[dim];
    const float give = upper ? row[dim] : row[dim + 4];
    sum[dim] = __fadd_rn(keep, __shfl_xor_sync(HW_ALL_LANES, give, 16));
  }
}

HW_DEV hwe_node hwe_attend_block(const uint4 *block, const hwe_query &query,
                                                 hw_u32 first, hw_u32 tokens, hw_u32 lane,
                                                 int *bad) {
  uint4 keys[16], values[16];
  HW_UNROLL
  for (int row = 0; row < 16; ++row) {
    keys[row] = __ldcs(block + 32 * row + lane);
  }
  HW_UNROLL
  for (int row = 0; row < HWE_EARLY_ROWS; ++row) {
    values[row] = __ldcs(block + HWE_BLOCK_PARTS / 2 + 32 * row + lane);
  }
  const hw_u32 token = 2u * (lane % 16u) + lane / 16u;
  const bool present = token < tokens;
  float score = hwe_scores(keys, query, first + token, lane);
  HW_UNROLL
  for (int row = HWE_EARLY_ROWS; row < 16; ++row) {
    values[row] = __ldcs(block + HWE_BLOCK_PARTS / 2 + 32 * row + lane);
  }
  if (present && hwe_is_bad(score)) {
    *bad = 1;
    score = 0.0f;
  }
  hwe_node node;
  node.reference = __reduce_max_sync(HW_ALL_LANES, present ? (int)ceilf(score) : -0x7FFFFFFF);
  const float weight =
      present ? hwe_exp2(__fsub_rn(score, (float)node.reference)) : 0.0f;
  // Bit 0 of the token is bit 4 of the lane, and so on [ATT-003].
  node.weight = __fadd_rn(weight, __shfl_xor_sync(HW_ALL_LANES, weight, 16));
  HW_UNROLL
  for (int step = 1; step < 16; step <<= 1) {
    node.weight = __fadd_rn(node.weight, __shfl_xor_sync(HW_ALL_LANES, node.weight, step));
  }
  if (tokens < HWE_BLOCK_TOKENS) {  // whatever lies behind the last token must not be used
    HW_UNROLL
    for (int row = 0; row < 16; ++row) {
      if (2u * row + lane / 16u >= tokens) {
        values[row] = uint4{0, 0, 0, 0};
      }
    }
  }
  hwe_values(values, weight, lane, node.value);
  return node;
}

HW_DEV hw_u32 hwe_blocks_of(hw_u32 tokens) {
  return (tokens + HWE_BLOCK_TOKENS - 1u) / HWE_BLOCK_TOKENS;
}

HW_DEV hw_u32 hwe_tasks_of(const hwe_engine_t &engine, hw_u32 tokens) {
  const hw_u32 each = engine.task_blocks * HWE_BLOCK_TOKENS;
  return (tokens + each - 1u) / each;
}

// A task with what its loads need, fetched while the task before it is worked on.
struct hwe_lead {
  hwe_task task;
  hwe_query query;
  hw_u32 blocks;
  hw_u32 mine;  // lane i: number of the task's block i
};

HW_DEV hwe_lead hwe_lead_in(const hwe_engine_t &engine, const hwe_task &task, hw_u32 lane) {
  hwe_lead lead;
  const hw_u32 first = task.number * engine.task_blocks;
  const hw_u32 *map = (const hw_u32 *)(engine.arena + (hw_u64)task.map * HWE_RECORD_ALIGNMENT);
  lead.task = task;
  lead.blocks = min(engine.task_blocks, hwe_blocks_of(task.tokens) - first);
  lead.mine = lane < lead.blocks ? __ldcg(map + first + lane) : 0;
  lead.query = hwe_load_query(engine.queries + (hw_u64)task.seat * HWE_DIMS, lane);
  return lead;
}

// All blocks of a task.
HW_DEV hwe_node hwe_attend(const hwe_engine_t &engine, const hwe_lead &lead, hw_u32 lane, int *bad) {
  const hw_u32 first = lead.task.number * engine.task_blocks;
  hwe_tree tree;
  HW_ONE_BY_ONE
  for (hw_u32 at = 0; at < lead.blocks; ++at) {
    const hw_u64 number = __shfl_sync(HW_ALL_LANES, lead.mine, at);
    const hw_u32 position = (first + at) * HWE_BLOCK_TOKENS;
    tree.add(at, hwe_attend_block((const uint4 *)(engine.arena + number * HWE_BLOCK_BYTES),
                                  lead.query, position,
                                  min(lead.task.tokens - position, HWE_BLOCK_TOKENS + 0u), lane,
                                  bad));
  }
  return tree.root(lead.blocks);
}

// ---- partial results

HW_DEV void hwe_store_node(const hwe_engine_t &engine, hw_u32 place, const hwe_node &node,
                           hw_u32 lane) {
  float4 *values = (float4 *)(engine.partials + (hw_u64)place * HWE_DIMS);
  values[2u * (lane % 16u) + lane / 16u] =
      make_float4(node.value[0], node.value[1], node.value[2], node.value[3]);
  if (lane == 0) {
    engine.partial_sums[place] = float2{__int_as_float(node.reference), node.weight};
  }
}

// Written by another block: past the cache of this one.
HW_DEV hwe_node hwe_load_node(const hwe_engine_t &engine, hw_u32 place, hw_u32 lane) {
  const float4 four = __ldcg((const float4 *)(engine.partials + (hw_u64)place * HWE_DIMS) +
                             2u * (lane % 16u) + lane / 16u);
  const float2 sums = __ldcg(engine.partial_sums + place);
  return hwe_node{__float_as_int(sums.x), sums.y, {four.x, four.y, four.z, four.w}};
}

// The output [ATT-007], rounded to fp16 for the logits [STATE-007].
HW_DEV void hwe_finish(const hwe_engine_t &engine, hw_u32 seat, const hwe_node &node, hw_u32 lane,
                       int bad) {
  hw_u16 half[4];
  int bad_output = 0;
  float output[4];
  HW_UNROLL
  for (int dim = 0; dim < 4; ++dim) {
    output[dim] = __fdiv_rn(__fadd_rn(node.value[dim], 0.0f), node.weight);
    half[dim] = hw_to_half(output[dim]);
    bad_output |= hwe_is_bad(output[dim]) || hwe_is_bad_half(half[dim]);
  }
  const hw_u64 place = (hw_u64)seat * (HWE_DIMS / 4) + 2u * (lane % 16u) + lane / 16u;
  ((float4 *)engine.outputs)[place] = make_float4(output[0], output[1], output[2], output[3]);
  ((hw_u64 *)engine.halves)[place] = half[0] | (hw_u64)half[1] << 16 | (hw_u64)half[2] << 32 |
                                     (hw_u64)half[3] << 48;
  hwe_refuse(engine, seat, HWE_STATUS_BAD_SCORE, bad);
  hwe_refuse(engine, seat, HWE_STATUS_BAD_OUTPUT, bad_output);
}

// Deliver a task's result. The group of 8^k tasks that begins at task g has the place of task g. A call,
// so that it takes no registers from the loop over blocks.
HW_DEV_CALL void hwe_deliver(const hwe_engine_t &engine, const hwe_task &task, hwe_node node,
                        hw_u32 lane, int bad) {
  hw_u32 number = task.number;
  const hw_u32 tasks = hwe_tasks_of(engine, task.tokens);
  const hw_u32 base = tasks > 1 ? engine.seats[task.seat].first_task : 0;
  HW_ONE_BY_ONE
  for (hw_u32 width = 1, level = 0; width < tasks; width *= HWE_FAN, ++level) {
    const hw_u32 group = number & ~(HWE_FAN * width - 1u);
    const hw_u32 members = min(HWE_FAN + 0u, (tasks - group + width - 1u) / width);
    hwe_store_node(engine, base + number, node, lane);
    if (bad) {
      hwe_refuse(engine, task.seat, HWE_STATUS_BAD_SCORE, bad);
    }
    __syncwarp();
    hw_u32 before = 0;
    if (lane == 0) {
      __threadfence();
      before = atomicAdd(engine.arrivals + (hw_u64)level * engine.task_capacity + base + group, 1u);
      __threadfence();
    }
    before = __shfl_sync(HW_ALL_LANES, before, 0);
    if (before + 1u != members) {
      return;
    }
    if (lane == 0) {
      engine.arrivals[(hw_u64)level * engine.task_capacity + base + group] = 0;
    }
    hwe_node child[HWE_FAN];
    HW_UNROLL
    for (hw_u32 at = 0; at < HWE_FAN; ++at) {  // all loads are in flight before the first join
      if (at < members) {
        child[at] = hwe_load_node(engine, base + group + at * width, lane);
      }
    }
    __syncwarp();  // all have read what one lane overwrites on the next level
    hwe_tree tree;
    HW_UNROLL
    for (hw_u32 at = 0; at < HWE_FAN; ++at) {
      if (at < members) {
        tree.add(at, child[at]);
      }
    }
    node = tree.root(members);
    number = group;
  }
  hwe_finish(engine, task.seat, node, lane, bad);
}

// The number of a task, in lane 0.
HW_DEV hw_u32 hwe_take(hwe_step_t *step, hw_u32 lane) {
  return lane == 0 ? atomicAdd(&step->taken, 1u) : 0u;
}

// Work on tasks of a step until there are none: one warp. A task is taken two before its turn, and what
// leads to its keys is loaded one before, so that none of these latencies adds up.
HW_DEV void hwe_attend_all(const hwe_engine_t &engine, hwe_step_t *step, const hwe_task *tasks,
                           hw_u32 lane) {
  const hw_u32 count = __ldcg(&step->tasks);
  hw_u32 place = __shfl_sync(HW_ALL_LANES, hwe_take(step, lane), 0);
  if (place >= count) {
    return;
  }
  hw_u32 taken = hwe_take(step, lane);
  hwe_lead lead = hwe_lead_in(engine, hwe_load_task(tasks + place), lane);
  HW_ONE_BY_ONE
  for (;;) {
    place = __shfl_sync(HW_ALL_LANES, taken, 0);
    const bool more = place < count;
    hwe_task next = lead.task;
    if (more) {
      next = hwe_load_task(tasks + place);
      taken = hwe_take(step, lane);
    }
    int bad = 0;
    const hwe_node node = hwe_attend(engine, lead, lane, &bad);
    const hwe_task task = lead.task;
    if (more) {
      lead = hwe_lead_in(engine, next, lane);
    }
    hwe_deliver(engine, task, node, lane, (int)(__ballot_sync(HW_ALL_LANES, bad) != 0));
    if (!more) {
      return;
    }
  }
}

#endif  // HW_ATTENTION_CUH
