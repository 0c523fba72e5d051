// SPDX-License-Identifier: Apache-2.0
//
// The throughput shape: workers claim rounds of lines in turn and run them side by side; one
// coordinator is the only one to talk to the host. A round passes two points in the order of its
// ticket: its lines get their places in the completion rings (`turn`, handed from worker to
// worker), and they are reported (`finished`, read by the coordinator). Nothing is written into a
// completion ring before its place is sure [LIFE-003] [RING-005].
#ifndef HW_THROUGHPUT_CUH
#define HW_THROUGHPUT_CUH

#include "trace.cuh"

enum {
  HW_ROUND_LINES = 256,
  HW_FINISHED = 128,  // tickets in flight at most
  HW_LOOK_AHEAD = 16  // finished rounds that the coordinator examines together
};
// The epoch is odd while workers must be stopped.
#define HW_EPOCH_END 0xFFFFFFFFu

// What a worker reports of a round: lines, rewards and errors so far in ten bits each.
enum { HW_FINISHED_REWARDS_LSB = 10, HW_FINISHED_ERRORS_LSB = 20 };
#define HW_FINISHED_COUNT 0x3FFu
#define HW_FINISHED_WHOLE 0x40000000u  // nothing of this round will follow
#define HW_FINISHED_STOP 0x80000000u
// Its tokens are a word and the eight bits above the ticket: a round of 256 ROLLOUTs makes less than
// 2^40 [DEC-006]. The tickets of a slot are HW_FINISHED apart, so that 24 bits tell them apart.
#define HW_FINISHED_TICKET 0x00FFFFFFu
enum { HW_FINISHED_TOKENS_LSB = 24 };
static_assert(HW_ROUND_LINES <= 1 << (32 - HW_FINISHED_TOKENS_LSB), "tokens of a round: 40 bits");

// In the device's own memory, zero at the start.
struct hw_hub {
  alignas(128) hw_chunk_t orders;  // epoch, published tail, DONE_HEAD, REWARD_HEAD
  alignas(128) hw_u64 claim;       // next line to be claimed, its ticket in the high word
  alignas(128) hw_chunk_t turn;    // done tail, reward tail, halted; ticket whose turn it is
  alignas(128) hw_u32 reported;    // tickets reported to the host
  alignas(128) hw_u32 standing;    // workers that have stopped
  alignas(128) hw_rings_t rings;
  alignas(128) hw_chunk_t finished[HW_FINISHED];  // packed counts, tokens, stalls; ticket + 1, tokens
};

enum { HW_ORDERS_EPOCH = 0, HW_ORDERS_TAIL = 1, HW_ORDERS_DONE_HEAD = 2, HW_ORDERS_REWARD_HEAD = 3 };

// ---- workers

struct hw_plan {
  hw_u32 ends;
  hw_u32 first;
  hw_u32 count;
  hw_u32 ticket;
};

struct hw_part {
  hw_u32 from;
  hw_u32 to;
  hw_u32 done_tail;
  hw_u32 reward_tail;
  hw_u32 whole;
};

struct hw_worker_state {
  hw_round<HW_ROUND_LINES> round;
  hw_rings_t rings;
  hw_tracer tracer;
  hw_plan plan;
  hw_part part;
};

// The leader's: stop when told to, else claim lines.
HW_DEV hw_plan hw_next_plan(hw_hub *hub, hw_worker_state *state, hw_u32 worker, hw_u32 *epoch) {
  for (;; hw_pause()) {
    const hw_chunk_t orders = hw_load_device(&hub->orders);
    const hw_u64 claim = hw_load_long_device(&hub->claim);
    const hw_u32 reported = hw_load_word_device(&hub->reported);
    hw_fence_device();
    if (orders.word[HW_ORDERS_EPOCH] == HW_EPOCH_END) {
      return hw_plan{1, 0, 0, 0};
    }
    if (orders.word[HW_ORDERS_EPOCH] != *epoch) {
      *epoch = orders.word[HW_ORDERS_EPOCH];
      if (*epoch & 1u) {
        hw_add_device(&hub->standing, 1);
      } else {
        state->rings = hub->rings;
        state->tracer = hw_read_tracer(state->rings, worker);
      }
      continue;
    }
    const hw_u32 next = (hw_u32)claim, ticket = (hw_u32)(claim >> 32);
    const hw_u32 left = orders.word[HW_ORDERS_TAIL] - next;
    if (*epoch & 1u || left - 1u >= 0x7FFFFFFFu || ticket - reported >= HW_FINISHED) {
      continue;
    }
    const hw_u32 count = left < HW_ROUND_LINES ? left : (hw_u32)HW_ROUND_LINES;
    const hw_u64 after = (hw_u64)(ticket + 1u) << 32 | (next + count);
    if (hw_swap_long_device(&hub->claim, claim, after)) {
      hw_fence_device();
      return hw_plan{0, next, count, ticket};
    }
  }
}

typedef struct hw_turn {
  hw_u32 done_tail;
  hw_u32 reward_tail;
  hw_u32 halted;
  hw_u32 stalls;
} hw_turn_t;

HW_DEV hw_turn_t hw_await_turn(hw_hub *hub, hw_u32 ticket) {
  for (;;) {
    const hw_chunk_t turn = hw_load_device(&hub->turn);
    if (turn.word[HW_CHUNK_SEQUENCE] == ticket) {
      return hw_turn_t{turn.word[0], turn.word[1], turn.word[2], 0};
    }
    hw_look_again();
  }
}

// The leader's, in its turn: places for as many of the lines from .. until as there is room for.
HW_DEV hw_part hw_place(hw_hub *hub, hw_worker_state *state, hw_u32 epoch, hw_u32 from,
                        hw_u32 until, hw_turn_t *turn) {
  hw_part part = {from, from, turn->done_tail, turn->reward_tail, 1};
  if (!turn->halted) {
    for (;; hw_pause()) {
      const hw_chunk_t orders = hw_load_device(&hub->orders);
      part.to = hw_fit(
          &state->round, state->rings, from, until,
          state->rings.done_slots - (turn->done_tail - orders.word[HW_ORDERS_DONE_HEAD]),
          state->rings.reward_slots - (turn->reward_tail - orders.word[HW_ORDERS_REWARD_HEAD]));
      if (part.to != from || orders.word[HW_ORDERS_EPOCH] != epoch) {
        // Without room and told to stop: what was claimed is forgotten.
        part.whole = part.to == until || part.to == from;
        break;
      }
      ++turn->stalls;
    }
    hw_fence_device();
    const hw_u32 rewards =
        state->rings.split ? hw_count_bits(state->round.reward, from, part.to) : 0;
    turn->done_tail += part.to - from - rewards;
    turn->reward_tail += rewards;
    // Forgotten lines halt the later ones too: none may overtake them before the gate has passed.
    turn->halted = hw_count_bits(state->round.stop, from, part.to) != 0 ||
                   (part.whole && part.to != until);
  }
  return part;
}

HW_DEV void hw_pass_turn(hw_hub *hub, hw_u32 ticket, const hw_turn_t &turn) {
  hw_store_device(&hub->turn,
                  hw_chunk_t{{turn.done_tail, turn.reward_tail, turn.halted, ticket + 1u}});
}

template <hw_u32 Lanes>
HW_DEV void hw_throughput_worker(hw_hub *hub, hw_worker_state *state, hw_u32 worker,
                                 const hw_team<Lanes> &team) {
  hw_u32 epoch = 0, rewards = 0, errors = 0, stop = 0;
  hw_u64 tokens = 0;
  for (;;) {
    if (team.lane == 0) {
      state->plan = hw_next_plan(hub, state, worker, &epoch);
      rewards = errors = stop = 0;
      tokens = 0;
    }
    team.sync();
    const hw_plan plan = state->plan;
    if (plan.ends) {
      return;
    }
    const hw_rings_t rings = state->rings;
    hw_load_round(&state->round, rings, plan.first, plan.count, team);
    team.sync();
    const hw_u64 taken = hw_stamp_of(state->tracer);
    hw_step_round(&state->round, rings, plan.first, plan.count, team);
    team.sync();
    const hw_u32 until = hw_until_stop(&state->round, plan.count);
    hw_turn_t turn = {0, 0, 0, 0};
    if (team.lane == 0) {
      turn = hw_await_turn(hub, plan.ticket);
    }
    for (hw_u32 from = 0;;) {
      if (team.lane == 0) {
        state->round.tokens = 0;
        state->part = hw_place(hub, state, epoch, from, until, &turn);
        if (state->part.whole) {
          hw_pass_turn(hub, plan.ticket, turn);
        }
      }
      team.sync();
      const hw_part part = state->part;
      hw_seal_round(&state->round, rings, part.from, part.to, part.done_tail, part.reward_tail,
                    team);
      team.sync();
      hw_store_round(&state->round, rings, part.from, part.to, part.done_tail, part.reward_tail,
                     team);
      team.sync();
      if (state->tracer.ring) {
        hw_trace_lines(
            &state->tracer, part.to - part.from,
            [&](hw_u32 at) { return hw_get_line(&state->round, part.from + at); },
            [&](hw_u32) { return taken; }, hw_nanoseconds(), team);
        team.sync();
        if (team.lane == 0) {
          hw_count_events(&state->tracer, part.to - part.from, team);
        }
      }
      if (team.lane == 0) {
        hw_fence_system();
        rewards += rings.split ? hw_count_bits(state->round.reward, part.from, part.to) : 0;
        errors += hw_count_bits(state->round.error, part.from, part.to);
        tokens += state->round.tokens;
        stop |= hw_count_bits(state->round.stop, part.from, part.to);
        const hw_u32 packed = part.to | rewards << HW_FINISHED_REWARDS_LSB |
                              errors << HW_FINISHED_ERRORS_LSB |
                              (part.whole ? HW_FINISHED_WHOLE : 0u) |
                              (stop ? HW_FINISHED_STOP : 0u);
        hw_store_device(&hub->finished[plan.ticket % HW_FINISHED],
                        hw_chunk_t{{packed, (hw_u32)tokens, turn.stalls,
                                    ((plan.ticket + 1u) & HW_FINISHED_TICKET) |
                                        (hw_u32)(tokens >> 32) << HW_FINISHED_TOKENS_LSB}});
      }
      from = part.to;
      if (part.whole) {
        break;
      }
    }
    team.sync();
  }
}

// ---- the coordinator

enum { HW_NEWS_DOORBELL, HW_NEWS_HEADS, HW_NEWS_CONTROL, HW_NEWS_FINISHED, HW_NEWS_CHUNKS = HW_NEWS_FINISHED + HW_LOOK_AHEAD };

struct hw_coordinator_state {
  hw_chunk_t news[HW_NEWS_CHUNKS];
  hw_u32 standing;
  hw_u64 claim;
};

// What a round has added to the progress before it.
HW_DEV hw_progress_t hw_with_round(const hw_progress_t &before, const hw_chunk_t &finished) {
  hw_progress_t now = before;
  const hw_u32 packed = finished.word[0];
  const hw_u32 lines = packed & HW_FINISHED_COUNT;
  const hw_u32 rewards = packed >> HW_FINISHED_REWARDS_LSB & HW_FINISHED_COUNT;
  now.cmd_head += lines;
  now.descriptors += lines;
  now.reward_tail += rewards;
  now.done_tail += lines - rewards;
  now.errors += packed >> HW_FINISHED_ERRORS_LSB & HW_FINISHED_COUNT;
  now.tokens += finished.word[1] |
                (hw_u64)(finished.word[HW_CHUNK_SEQUENCE] >> HW_FINISHED_TOKENS_LSB) << 32;
  now.stalls += finished.word[2];
  if (packed & HW_FINISHED_STOP) {
    now.halted = 1;
    ++now.halts;
  }
  return now;
}

template <hw_u32 Lanes>
HW_DEV void hw_coordinator(const hw_link_t *shared_link, hw_hub *hub, hw_coordinator_state *state,
                           hw_u32 workers, const hw_team<Lanes> &team) {
  const hw_link_t link = *shared_link;
  hw_life_t life = hw_be_born();
  hw_rings_t rings = {};
  hw_progress_t base = {};  // after all rounds that are whole
  hw_progress_t told = {};  // the last report
  hw_u32 gate = 0xFFFFFFFFu, epoch = 1, reported = 0, clock = 0, why = HW_ENDED_NOT;
  hw_chunk_t given = {{0, 0, 0, 0}};
  for (;;) {
    team.sync();
    for (hw_u32 at = team.lane; at < HW_NEWS_CHUNKS; at += Lanes) {
      state->news[at] = at >= HW_NEWS_FINISHED
                            ? hw_load_device(&hub->finished[(reported + at - HW_NEWS_FINISHED) %
                                                            HW_FINISHED])
                            : hw_load_system(at == HW_NEWS_DOORBELL ? link.doorbell
                                             : at == HW_NEWS_HEADS  ? link.heads
                                                                    : hw_control_address(link));
    }
    if (epoch & 1u && team.lane == 0) {
      state->standing = hw_load_word_device(&hub->standing);
      hw_fence_device();  // a stopped worker claims nothing more
      state->claim = hw_load_long_device(&hub->claim);
    }
    team.sync();
    hw_fence_system();

    hw_progress_t now = base;
    const hw_u32 reported_before = reported;
    for (int at = 0; at < HW_LOOK_AHEAD; ++at) {
      const hw_chunk_t finished = state->news[HW_NEWS_FINISHED + at];
      if ((finished.word[HW_CHUNK_SEQUENCE] ^ (reported + 1u)) & HW_FINISHED_TICKET) {
        break;
      }
      now = hw_with_round(base, finished);
      if (!(finished.word[0] & HW_FINISHED_WHOLE)) {
        break;
      }
      base = now;
      ++reported;
    }
    if (now.descriptors != told.descriptors || now.stalls != told.stalls) {
      now.sequence = told.sequence + 1u;
      told = now;
      hw_report(link, rings, now, team);
    }
    if (reported != reported_before && team.lane == 0) {
      hw_store_word_device(&hub->reported, reported);
    }

    const hw_chunk_t control = state->news[HW_NEWS_CONTROL];
    hw_tell_clock(link, control.word[HW_CONTROL_CLOCK], &clock, team);
    if (why == HW_ENDED_NOT) {
      why = hw_why_end(&link, &life, control);
    }
    const int at_rest = epoch & 1u && state->standing == workers &&
                        reported == (hw_u32)(state->claim >> 32);
    if (why != HW_ENDED_NOT && at_rest) {
      team.sync();
      hw_fence_system();
      if (team.lane == 0) {
        hw_store_device(&hub->orders, hw_chunk_t{{HW_EPOCH_END, 0, 0, 0}});
        hw_store_word_system(link.ended, why);
      }
      return;
    }
    const int gate_moved = control.word[HW_CONTROL_GATE] != gate;
    hw_chunk_t orders = {{epoch, state->news[HW_NEWS_DOORBELL].word[0],
                          state->news[HW_NEWS_HEADS].word[HW_HEADS_DONE],
                          state->news[HW_NEWS_HEADS].word[HW_HEADS_REWARD]}};
    if ((gate_moved || why != HW_ENDED_NOT) && !(epoch & 1u)) {
      ++epoch;
    } else if (gate_moved && at_rest) {
      gate = control.word[HW_CONTROL_GATE];
      team.sync();
      hw_fence_system();
      if (gate & 1u) {
        if (team.lane == 0) {
          hw_store_word_system(link.ack, gate);
        }
      } else {
        rings = hw_read_rings(&link);
        base = told = hw_read_progress(&link);
        if (team.lane == 0) {
          hub->rings = rings;
          hw_store_word_device(&hub->standing, 0);
          hw_store_long_device(&hub->claim, (hw_u64)reported << 32 | base.cmd_head);
          hw_store_device(&hub->turn, hw_chunk_t{{base.done_tail, base.reward_tail, base.halted,
                                                  reported}});
        }
        ++epoch;
        team.sync();
        hw_fence_system();
        continue;  // the tail and heads seen with the gate may be older than it
      }
    }
    orders.word[HW_ORDERS_EPOCH] = epoch;
    if (!rings.enabled || base.halted) {
      orders.word[HW_ORDERS_TAIL] = base.cmd_head;
    }
    if (team.lane == 0 &&
        (orders.word[0] != given.word[0] || orders.word[1] != given.word[1] ||
         orders.word[2] != given.word[2] || orders.word[3] != given.word[3])) {
      hw_store_device(&hub->orders, orders);
    }
    given = orders;
    hw_look_again();
  }
}

#endif  // HW_THROUGHPUT_CUH
