// SPDX-License-Identifier: Apache-2.0
//
// What a step does for a group of seats beside attention, by a block: draw the tokens that attention
// was for, take up new rollouts, ingest one token each, and make the next queries and their tasks
// [STATE-008] [REC-003] [REC-004].
#ifndef HW_STEP_CUH
#define HW_STEP_CUH

#include "attention.cuh"
#include "opening.cuh"
#include "unembed.cuh"

// Draw the token of a seat that awaits one.
template <hw_u32 Threads, hw_u32 Spread = 0>
HW_DEV void hwe_draw(const hwe_engine_t &engine, hw_u32 seat_number,
                     hwe_drawing<hwe_row<Threads>::bins> *shared, const hw_u32 *tables) {
  hwe_seat *seat = engine.seats + seat_number;
  hwe_row<Threads, Spread> row = {};
  row.shared = shared;
  row.tables = tables;
  row.logits = engine.logits + (hw_u64)seat_number * engine.pitch;
  row.thread = threadIdx.x % Threads;
  row.vocabulary = engine.vocabulary;
  const hw_u32 token = hwe_sample(row, seat->rollout, seat->rollout.length);
  if (row.thread == 0) {
    seat->token = token;
  }
  row.sync();
}

// ---- one token each

// Tokens that a seat with given ones ingests in this step, at most. All others wait for it: a turn more
// is worth its time if the seats that gain a token by it are more than the part of a step that it takes.
HW_DEV hw_u32 hwe_turns(const hwe_engine_t &engine, hw_u32 next_step) {
  const hwe_step_t *now = &engine.control->step[(next_step + HWE_STEPS - 1u) % HWE_STEPS];
  const hw_u32 given = hw_load_word_device(&now->given), makes = hw_load_word_device(&now->makes);
  return (hw_u64)given * HWE_GIVEN_SHARE >= makes ? engine.given_turns : 1u;
}

// What each seat of the group ingests in this turn.
template <hw_u32 Group>
HW_DEV void hwe_plan(const hwe_engine_t &engine, hw_u32 first_seat, bool first_turn,
                     hwe_bench<Group> *bench) {
  if (threadIdx.x < Group) {
    hwe_turn turn = {};
    const hw_u32 number = first_seat + threadIdx.x;
    if (number < engine.seat_count && engine.seats[number].state == HWE_SEAT_RUNS) {
      hwe_seat *seat = engine.seats + number;
      const hw_u32 position = seat->rollout.length;
      const hw_u32 *tokens = (const hw_u32 *)(engine.arena + seat->rollout.tokens);
      turn.runs = seat->refused == 0;
      turn.position = position;
      if (turn.runs && position < seat->end && !seat->given_up) {
        if (position < seat->rollout.prompt_tokens) {
          turn.token = tokens[position];
          turn.ingests = 1;
        } else if (seat->ended) {
          turn.token = seat->rollout.eos;
          turn.ingests = 1;
        } else if (first_turn && seat->awaits) {
          turn.token = seat->token;
          turn.ingests = 1;
        }
      }
      seat->awaits = first_turn ? 0 : seat->awaits;
      turn.token_hash = hwe_plane_row(HWE_EMBEDDING_PLANE, turn.token);
      turn.position_hash = hwe_plane_row(HWE_POSITION_PLANE, position);
    }
    bench->turn[threadIdx.x] = turn;
    if (turn.ingests) {
      bench->any = 1;
    }
  }
}

// A key, a value and the next state of every seat that ingests a token.
template <hw_u32 Group>
HW_DEV void hwe_ingest(const hwe_engine_t &engine, hw_u32 first_seat, hwe_bench<Group> *bench) {
  enum : hw_u32 { Pairs = hwe_group_dots<Group>::Pairs };
  for (hw_u32 at = threadIdx.x; at < Group * HWE_DIMS; at += HWE_THREADS) {
    const hwe_turn &turn = bench->turn[at / HWE_DIMS];
    bench->x[at / HWE_DIMS][at % HWE_DIMS] =
        turn.ingests ? hwe_input(turn.token_hash, turn.position_hash, at % HWE_DIMS) : 0.0f;
  }
  __syncthreads();
  hwe_group_dots<Group> key, value, state, dots;
  hwe_multiply_inputs(engine, bench, &key, &value, &state, &dots);
  hw_u32 keys[Pairs], values[Pairs];
  HW_UNROLL
  for (hw_u32 at = 0; at < Pairs; ++at) {
    keys[at] = hwe_two_halves(key.of[2 * at], key.of[2 * at + 1]);
    values[at] = hwe_two_halves(value.of[2 * at], value.of[2 * at + 1]);
  }
  HW_UNROLL
  for (hw_u32 at = 0; at < 2 * Pairs; ++at) {
    const hw_u32 row = dots.row(at / 2), dim = 2 * dots.pair(at / 2) + at % 2;
    const float a = __fadd_rn(engine.bias[dim], state.of[at]);
    float next = __fmul_rn(0.5f, bench->h[row][dim]);
    next = __fadd_rn(next, __fmul_rn(0.125f, dots.of[at]));
    next = __fadd_rn(next, __fmul_rn(0.25f, bench->x[row][dim]));
    state.of[at] = __fadd_rn(next, __fmul_rn(0.125f, hwe_silu(a)));
    if (bench->turn[row].ingests && hwe_is_bad(state.of[at])) {
      bench->turn[row].bad = 1;
    }
  }
  __syncthreads();
  HW_UNROLL
  for (hw_u32 at = 0; at < Pairs; ++at) {
    const hw_u32 row = dots.row(at), pair = dots.pair(at);
    const hwe_turn turn = bench->turn[row];
    if (!turn.ingests || turn.bad) {
      continue;
    }
    const hwe_rollout_t &rollout = engine.seats[first_seat + row].rollout;
    const hw_u32 *map = (const hw_u32 *)(engine.arena + rollout.blocks);
    hw_u32 *block = (hw_u32 *)(engine.arena +
                               (hw_u64)map[turn.position / HWE_BLOCK_TOKENS] * HWE_BLOCK_BYTES);
    const hw_u32 word = turn.position % HWE_BLOCK_TOKENS * HWE_PAIRS + pair;
    block[word] = keys[at];
    block[HWE_BLOCK_BYTES / 8 + word] = values[at];
    ((float2 *)(engine.arena + rollout.state))[pair] =
        float2{state.of[2 * at], state.of[2 * at + 1]};
    bench->h[row][2 * pair] = state.of[2 * at];
    bench->h[row][2 * pair + 1] = state.of[2 * at + 1];
  }
  __syncthreads();
  if (threadIdx.x < Group) {
    const hwe_turn turn = bench->turn[threadIdx.x];
    hwe_seat *seat = engine.seats + first_seat + threadIdx.x;
    if (turn.ingests && turn.bad) {
      hwe_refuse(engine, first_seat + threadIdx.x, HWE_STATUS_BAD_STATE, 1);
    } else if (turn.ingests) {
      if (turn.position >= seat->rollout.prompt_tokens) {
        ((hw_u32 *)(engine.arena + seat->rollout.tokens))[turn.position] = turn.token;
        seat->ended = turn.token == seat->rollout.eos;
      }
      seat->rollout.length = turn.position + 1u;
      ((hwe_rollout_t *)(engine.arena + seat->record))->length = turn.position + 1u;
      if (seat->rollout.length < seat->end &&
          (seat->rollout.length < seat->rollout.prompt_tokens || seat->ended)) {
        bench->more = 1;
      }
    }
  }
  __syncthreads();
}

// Queries of the seats whose next token is to be made, and the tasks of their attention.
template <hw_u32 Group>
HW_DEV void hwe_prepare(const hwe_engine_t &engine, hw_u32 first_seat, hw_u32 next_step,
                        hwe_bench<Group> *bench) {
  enum : hw_u32 { Pairs = hwe_group_dots<Group>::Pairs };
  __syncthreads();  // all have read it
  if (threadIdx.x == 0) {
    bench->any = bench->more = 0;
  }
  __syncthreads();
  if (threadIdx.x < Group) {
    hwe_turn turn = {};
    const hw_u32 number = first_seat + threadIdx.x;
    if (number < engine.seat_count && engine.seats[number].state == HWE_SEAT_RUNS) {
      const hwe_seat &seat = engine.seats[number];
      turn.runs = 1;
      turn.position = seat.rollout.length;
      if (!seat.refused && !seat.given_up && turn.position < seat.end) {
        turn.ingests = turn.position >= seat.rollout.prompt_tokens && !seat.ended;
        atomicAdd(turn.ingests ? &bench->any : &bench->more, 1u);
      }
    }
    bench->turn[threadIdx.x] = turn;
  }
  __syncthreads();
  if (threadIdx.x == 0 && (bench->any || bench->more)) {
    atomicAdd(&engine.control->step[next_step].makes, bench->any);
    atomicAdd(&engine.control->step[next_step].given, bench->more);
  }
  if (bench->any) {
    hwe_group_dots<Group> dots;
    hwe_multiply_group<false>(bench->h, engine.w_q, HWE_PAIRS, &bench->stage, &dots);
    HW_UNROLL
    for (hw_u32 at = 0; at < Pairs; ++at) {
      const hw_u32 row = dots.row(at), number = first_seat + row;
      if (bench->turn[row].ingests) {
        const hw_u16 low = hw_to_half(dots.of[2 * at]), high = hw_to_half(dots.of[2 * at + 1]);
        ((hw_u32 *)engine.queries)[(hw_u64)number * HWE_PAIRS + dots.pair(at)] =
            low | (hw_u32)high << 16;
        hwe_refuse(engine, number, HWE_STATUS_BAD_QUERY,
                   hwe_is_bad(dots.of[2 * at]) || hwe_is_bad(dots.of[2 * at + 1]) ||
                       hwe_is_bad_half(low) || hwe_is_bad_half(high));
      }
    }
  }
  __syncthreads();
  for (hw_u32 row = threadIdx.x / 32; row < Group; row += HWE_WARPS) {
    const hwe_turn turn = bench->turn[row];
    if (!turn.runs) {
      continue;
    }
    const hw_u32 lane = threadIdx.x % 32, number = first_seat + row;
    hwe_seat *seat = engine.seats + number;
    const hw_u32 refused = seat->refused;
    if (turn.ingests && !refused) {
      const hw_u32 tasks = hwe_tasks_of(engine, turn.position);
      hw_u32 place_of = 0;
      if (lane == 0) {
        seat->awaits = 1;
        place_of = atomicAdd(&engine.control->step[next_step].tasks, tasks);
      }
      place_of = __shfl_sync(HW_ALL_LANES, place_of, 0);
      hwe_task *list = engine.tasks + (hw_u64)next_step * engine.task_capacity + place_of;
      for (hw_u32 at = lane; at < tasks; at += 32) {
        list[at] = hwe_task{number, (hw_u32)(seat->rollout.blocks / HWE_RECORD_ALIGNMENT), at,
                            turn.position};
      }
    } else if (lane == 0 &&
               (refused || seat->given_up || turn.position >= seat->end)) {
      seat->status = hwe_first_status(refused);
      atomicAdd(&engine.control->running, 0xFFFFFFFFu);
      hw_fence_system();  // what it has written is there before its state tells
      hw_store_word_device(&seat->state, HWE_SEAT_DONE);
    }
  }
  __syncthreads();
}

// What a block keeps in shared memory for the groups that it works on.
template <hw_u32 Group>
struct hwe_room {
  hwe_engine_t engine;
  hwe_bench<Group> bench;
  hw_u32 tables[2 * HWE_TABLE_ENTRIES];
};

template <hw_u32 Spread>
HW_DEV void hwe_copy_tables(const hwe_engine_t &engine,
                            hw_u32 (&tables)[2 * HWE_TABLE_ENTRIES << Spread]) {
  HW_ONE_BY_ONE
  for (hw_u32 at = threadIdx.x; at < 2 * HWE_TABLE_ENTRIES << Spread; at += blockDim.x) {
    tables[at] = engine.tables[at >> Spread];
  }
}

// Whether any seat of the group has something to do.
template <hw_u32 Group>
HW_DEV hw_u32 hwe_is_busy(const hwe_engine_t &engine, hw_u32 first_seat, hwe_bench<Group> *bench) {
  __syncthreads();
  if (threadIdx.x == 0) {
    bench->any = 0;
  }
  __syncthreads();
  if (threadIdx.x < Group && first_seat + threadIdx.x < engine.seat_count) {
    const hw_u32 state = hw_load_word_device(&engine.seats[first_seat + threadIdx.x].state);
    if (state == HWE_SEAT_NEW || state == HWE_SEAT_RUNS) {
      bench->any = 1;
    }
  }
  __syncthreads();
  const hw_u32 any = bench->any;
  __syncthreads();  // all have read it
  return any;
}

// Everything of a step but attention, for one group. `draws`: also logits and tokens, else other kernels
// have drawn them.
template <hw_u32 Group>
HW_DEV void hwe_tail(const hwe_engine_t &engine, hw_u32 group, hw_u32 next_step, bool draws,
                     hwe_room<Group> *room) {
  hwe_bench<Group> *bench = &room->bench;
  const hw_u32 first_seat = group * Group, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (!hwe_is_busy(engine, first_seat, bench)) {
    return;
  }
  if (draws && hwe_load_outputs<Group>(engine, first_seat, bench)) {
    hwe_make_logits<Group>(engine, bench, first_seat, 0, 1);
    __syncthreads();
    for (hw_u32 row = warp; row < Group && first_seat + row < engine.seat_count; row += HWE_WARPS) {
      if (engine.seats[first_seat + row].awaits && !engine.seats[first_seat + row].refused) {
        hwe_draw<32>(engine, first_seat + row, &bench->drawing[warp], room->tables);
      }
    }
  }
  for (hw_u32 row = warp; row < Group && first_seat + row < engine.seat_count; row += HWE_WARPS) {
    hwe_seat *seat = engine.seats + first_seat + row;
    const hw_u32 state = hw_load_word_device(&seat->state);
    __syncwarp();
    if (state == HWE_SEAT_NEW) {
      hw_fence_device();
      hwe_open(engine, seat, lane);
    }
  }
  __syncthreads();
  for (hw_u32 at = threadIdx.x; at < Group * HWE_DIMS; at += HWE_THREADS) {
    const hw_u32 seat = first_seat + at / HWE_DIMS;
    float h = 0.0f;
    if (seat < engine.seat_count && engine.seats[seat].state == HWE_SEAT_RUNS &&
        !engine.seats[seat].refused && engine.seats[seat].rollout.length < engine.seats[seat].end) {
      h = ((const float *)(engine.arena + engine.seats[seat].rollout.state))[at % HWE_DIMS];
    }
    bench->h[at / HWE_DIMS][at % HWE_DIMS] = h;
  }
  const hw_u32 turns = hwe_turns(engine, next_step);
  for (hw_u32 turn = 0; turn < turns; ++turn) {
    __syncthreads();
    if (threadIdx.x == 0) {
      bench->any = bench->more = 0;
    }
    __syncthreads();
    hwe_plan(engine, first_seat, turn == 0, bench);
    __syncthreads();
    if (bench->any) {
      hwe_ingest(engine, first_seat, bench);
    }
    if (!bench->more) {
      break;
    }
  }
  hwe_prepare(engine, first_seat, next_step, bench);
}

#endif  // HW_STEP_CUH
