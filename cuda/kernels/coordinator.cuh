// SPDX-License-Identifier: Apache-2.0
//
// The coordinator of the resident shape. A line is taken only with a seat; until then it stays in the ring.
//
// A gate that closes, and the end, make every rollout stop where it is. What was taken and cannot be
// posted is forgotten; taken again, it continues from its record, with the same bits [NUM-008].
#ifndef HW_COORDINATOR_CUH
#define HW_COORDINATOR_CUH

#include "lobby.cuh"

enum : hw_u32 {
  HW_TAKE = 32,  // lines at a time
  HW_SCAN = 1024  // seats that are read in a turn
};
#define HW_NO_RECORD 0xFFFFFFFFFFFFFFFFull

enum { HW_LOBBY_DOORBELL, HW_LOBBY_HEADS, HW_LOBBY_CONTROL, HW_LOBBY_NEWS };

struct hw_desk_state {
  hw_round<HW_TAKE> round;
  hw_chunk_t news[HW_LOBBY_NEWS];
  hw_u64 record[HW_TAKE];
  // One bit a line.
  hw_u32 needs;
  hw_u32 held;
  hw_u32 done;
};

// The same in every lane.
struct hw_desk_self {
  hw_link_t link;
  hw_rings_t rings;
  hw_progress_t now;
  hw_life_t life;
  hw_tracer tracer;
  hw_u32 clock;  // the number told last
  hw_u32 gate;
  hw_u32 taken;  // index of the next line to be taken
  hw_u32 free_top;
  hw_u32 scanned;   // seat that is read next
  hw_u32 stopped;   // a STOP has been taken
  hw_u32 drains;    // 1: nothing is taken any more, and rollouts have been told to stop
};

HW_DEV int hw_is_bit(hw_u32 word, hw_u32 at) { return (int)(word >> at & 1u); }
HW_DEV hw_u32 hw_below(hw_u32 at) { return (1u << at) - 1u; }

HW_DEV int hw_is_place(const hw_lobby *lobby, hw_u64 record) {
  return record % HWE_RECORD_ALIGNMENT == 0 && record < lobby->arena_bytes;
}

HW_DEV hw_flight *hw_flight_of(const hw_lobby *lobby, hw_u32 index) {
  return &lobby->flights[index & (lobby->flight_slots - 1u)];
}

HW_DEV hwe_seat *hw_seat_of(const hw_lobby *lobby, hw_u32 seat) {
  return &lobby->engine->seats[seat];
}

// Mark or unmark a record as being advanced: the bit is known to be clear, or set.
HW_DEV void hw_toggle_busy(hw_lobby *lobby, hw_u64 record, int on) {
  if (hw_is_place(lobby, record)) {
    const hw_u64 place = record / HWE_RECORD_ALIGNMENT;
    const hw_u32 bit = 1u << (hw_u32)(place % 32u);
    hw_add_device(&lobby->busy[place / 32u], on ? bit : 0u - bit);
  }
}

// Which of the lines in the round wait: for a seat, or for the line before them on the same record.
template <hw_u32 Lanes>
HW_DEV void hw_hold(hw_lobby *lobby, hw_desk_self *self, hw_desk_state *state, hw_u32 until,
                    const hw_team<Lanes> &team) {
  for (hw_u32 at = team.lane; at < HW_TAKE; at += Lanes) {
    int needs = 0;
    if (at < until && lobby->seat_count && !hw_is_bit(state->round.error[0], at)) {
      const hw_words_t words = hw_get_line(&state->round, at);
      const hw_u32 opcode = words.line.opcode;
      needs = opcode == HW_OPCODE_DECODE || opcode == HW_OPCODE_PREFILL ||
              opcode == HW_OPCODE_ROLLOUT;
      state->record[at] = words.line.kv_arena_id ? HW_NO_RECORD : words.line.kv_offset;
    }
    team.mark(&state->needs, at, needs);
  }
  team.sync();
  for (hw_u32 at = team.lane; at < HW_TAKE; at += Lanes) {
    int held = 0;
    if (at < until && hw_is_bit(state->needs, at)) {
      const hw_u64 record = state->record[at];
      held = hw_ones(state->needs & hw_below(at)) >= self->free_top;
      if (hw_is_place(lobby, record)) {
        const hw_u64 place = record / HWE_RECORD_ALIGNMENT;
        held |= hw_is_bit(hw_load_word_device(&lobby->busy[place / 32u]), (hw_u32)(place % 32u));
        for (hw_u32 before = 0; before < at; ++before) {
          held |= hw_is_bit(state->needs, before) && state->record[before] == record;
        }
      }
    }
    team.mark(&state->held, at, held);
  }
  team.sync();
}

// Take lines, up to the first that has to wait, and up to a STOP.
template <hw_u32 Lanes>
HW_DEV void hw_take(hw_lobby *lobby, hw_desk_self *self, hw_desk_state *state, hw_u32 tail,
                    const hw_team<Lanes> &team) {
  const hw_u32 left = tail - self->taken;
  if (left - 1u >= 0x7FFFFFFFu) {
    return;
  }
  const hw_u32 room = lobby->flight_slots - (self->taken - self->now.cmd_head);
  hw_u32 count = left < room ? left : room;
  count = count < HW_TAKE ? count : HW_TAKE + 0u;
  if (count == 0) {
    return;
  }
  hw_load_round(&state->round, self->rings, self->taken, count, team);
  team.sync();
  hw_step_round(&state->round, self->rings, self->taken, count, team);
  team.sync();
  const hw_u32 until = hw_until_stop(&state->round, count);
  hw_hold(lobby, self, state, until, team);
  hw_u32 to = until;
  if (state->held) {
    to = hw_lowest(state->held);
  }
  for (hw_u32 at = team.lane; at < to; at += Lanes) {
    hw_flight *flight = hw_flight_of(lobby, self->taken + at);
    const hw_words_t words = hw_get_line(&state->round, at);
    flight->words = words;
    flight->taken_at = hw_stamp_of(self->tracer);
    flight->tokens = state->round.tokens_of[at];
    flight->is_stop = (hw_u32)hw_is_bit(state->round.stop[0], at);
    flight->is_reward = (hw_u32)hw_is_bit(state->round.reward[0], at);
    flight->is_error = (hw_u32)hw_is_bit(state->round.error[0], at);
    flight->is_done = !hw_is_bit(state->needs, at);
    if (hw_is_bit(state->needs, at)) {
      const hw_u32 rank = hw_ones(state->needs & hw_below(at));
      hwe_seat *seat = hw_seat_of(lobby, lobby->free_seats[self->free_top - 1u - rank]);
      seat->line = self->taken + at;
      seat->record = state->record[at];
      seat->end = words.line.seq_len;  // of the completion [REC-005]
      seat->status = seat->refused = 0;
      seat->given_up = 0;
      hw_toggle_busy(lobby, state->record[at], 1);
      hw_fence_device();
      hw_store_word_device(&seat->state, HWE_SEAT_NEW);
    }
  }
  team.sync();
  const hw_u32 mine = to < 32 ? hw_below(to) : 0xFFFFFFFFu;
  self->free_top -= hw_ones(state->needs & mine);
  self->stopped = (state->round.stop[0] & mine) != 0;
  self->taken += to;
}

// Free seats whose rollouts are done, and mark their lines. One that was told to stop before its end is
// not done with its line.
template <hw_u32 Lanes>
HW_DEV void hw_collect(hw_lobby *lobby, hw_desk_self *self, hw_desk_state *state,
                       const hw_team<Lanes> &team) {
  hw_u32 looked = 0;
  while (looked < HW_SCAN && looked < lobby->seat_count) {
    team.sync();
    for (hw_u32 at = team.lane; at < HW_TAKE; at += Lanes) {
      const hw_u32 seat = self->scanned + at;
      team.mark(&state->done, at,
                seat < lobby->seat_count &&
                    hw_load_word_device(&hw_seat_of(lobby, seat)->state) == HWE_SEAT_DONE);
    }
    team.sync();
    hw_fence_device();
    for (hw_u32 at = team.lane; at < HW_TAKE; at += Lanes) {
      if (hw_is_bit(state->done, at)) {
        hwe_seat *seat = hw_seat_of(lobby, self->scanned + at);
        if (seat->status != 0 || seat->rollout.length >= seat->end) {
          hw_flight_of(lobby, seat->line)->is_done = 1;
        }
        if (seat->status) {
          const hw_u32 number = atomicAdd(&lobby->failures, 1u);
          lobby->failure[number % HW_FAILURES] =
              hw_failure{seat->record, seat->status, seat->line};
        }
        hw_toggle_busy(lobby, seat->record, 0);
        hw_store_word_device(&seat->state, HWE_SEAT_FREE);
        lobby->free_seats[self->free_top + hw_ones(state->done & hw_below(at))] =
            self->scanned + at;
      }
    }
    self->free_top += hw_ones(state->done);
    self->scanned = self->scanned + HW_TAKE < lobby->seat_count ? self->scanned + HW_TAKE : 0u;
    looked += HW_TAKE;
  }
  team.sync();
}

// Post what is complete, in the order of submission. 0: there was nothing to post, or no room.
template <hw_u32 Lanes>
HW_DEV hw_u32 hw_retire(hw_lobby *lobby, hw_desk_self *self, hw_desk_state *state,
                        const hw_team<Lanes> &team) {
  hw_progress_t *now = &self->now;
  const hw_u32 left = self->taken - now->cmd_head;
  for (hw_u32 at = team.lane; at < HW_TAKE; at += Lanes) {
    const hw_flight *flight = hw_flight_of(lobby, now->cmd_head + at);
    team.mark(&state->done, at, at < left && flight->is_done);
  }
  team.sync();
  const hw_u32 count = state->done == 0xFFFFFFFFu ? HW_TAKE + 0u : hw_lowest(~state->done);
  if (count == 0) {
    return 0;
  }
  if (team.lane == 0) {
    state->round.tokens = 0;
  }
  for (hw_u32 at = team.lane; at < HW_TAKE; at += Lanes) {
    const hw_flight *flight = hw_flight_of(lobby, now->cmd_head + at);
    const int is = at < count;
    if (is) {
      hw_put_line(&state->round, at, flight->words);
      state->round.tokens_of[at] = flight->tokens;
    }
    team.mark(state->round.stop, at, is && flight->is_stop);
    team.mark(state->round.reward, at, is && flight->is_reward);
    team.mark(state->round.error, at, is && flight->is_error);
  }
  team.sync();
  const hw_chunk_t heads = state->news[HW_LOBBY_HEADS];
  const hw_u32 to = hw_fit(&state->round, self->rings, 0, count,
                           self->rings.done_slots - (now->done_tail - heads.word[HW_HEADS_DONE]),
                           self->rings.reward_slots -
                               (now->reward_tail - heads.word[HW_HEADS_REWARD]));
  if (to == 0) {
    ++now->stalls;
    return 0;
  }
  hw_seal_round(&state->round, self->rings, 0, to, now->done_tail, now->reward_tail, team);
  team.sync();
  hw_store_round(&state->round, self->rings, 0, to, now->done_tail, now->reward_tail, team);
  if (self->tracer.ring) {
    hw_trace_lines(
        &self->tracer, to, [&](hw_u32 at) { return hw_get_line(&state->round, at); },
        [&](hw_u32 at) { return hw_flight_of(lobby, now->cmd_head + at)->taken_at; },
        hw_nanoseconds(), team);
    hw_count_events(&self->tracer, to, team);
  }
  const hw_u32 mine = to < 32 ? hw_below(to) : 0xFFFFFFFFu;
  const hw_u32 rewards = self->rings.split ? hw_ones(state->round.reward[0] & mine) : 0;
  now->cmd_head += to;
  now->descriptors += to;
  now->reward_tail += rewards;
  now->done_tail += to - rewards;
  now->errors += hw_ones(state->round.error[0] & mine);
  now->tokens += state->round.tokens;
  if (state->round.stop[0] & mine) {
    now->halted = 1;
    ++now->halts;
  }
  ++now->sequence;
  team.sync();
  hw_fence_system();
  hw_report(self->link, self->rings, *now, team);
  team.sync();
  return to;
}

// Tell every rollout to stop where it is, once. 1: all have, and their seats are free.
template <hw_u32 Lanes>
HW_DEV hw_u32 hw_drain(hw_lobby *lobby, hw_desk_self *self, const hw_team<Lanes> &team) {
  if (!self->drains) {
    for (hw_u32 seat = team.lane; seat < lobby->seat_count; seat += Lanes) {
      hw_store_word_device(&hw_seat_of(lobby, seat)->given_up, 1);
    }
    self->drains = 1;
  }
  return self->free_top == lobby->seat_count;
}

// The gate has moved, and nothing is in flight.
template <hw_u32 Lanes>
HW_DEV void hw_pass_gate(hw_desk_self *self, hw_u32 gate, const hw_team<Lanes> &team) {
  self->gate = gate;
  self->drains = 0;
  team.sync();
  hw_fence_system();
  if (gate & 1u) {
    if (team.lane == 0) {
      hw_store_word_system(self->link.ack, gate);
    }
    self->rings.enabled = 0;
    return;
  }
  self->rings = hw_read_rings(&self->link);
  self->now = hw_read_progress(&self->link);
  self->tracer = hw_read_tracer(self->rings, 0);
  self->taken = self->now.cmd_head;
  self->stopped = self->now.halted;
}

template <hw_u32 Lanes>
HW_DEV void hw_resident_coordinator(const hw_link_t *shared_link, hw_lobby *lobby,
                                    hw_desk_state *state, const hw_team<Lanes> &team) {
  hw_desk_self self = {};
  self.link = *shared_link;
  self.life = hw_be_born();
  self.gate = 0xFFFFFFFFu;
  self.free_top = lobby->seat_count;
  hw_u32 why = HW_ENDED_NOT;
  for (;;) {
    team.sync();
    for (hw_u32 at = team.lane; at < HW_LOBBY_NEWS; at += Lanes) {
      state->news[at] = hw_load_system(at == HW_LOBBY_DOORBELL ? self.link.doorbell
                                       : at == HW_LOBBY_HEADS  ? self.link.heads
                                                               : hw_control_address(self.link));
    }
    team.sync();
    hw_fence_system();
    const hw_chunk_t control = state->news[HW_LOBBY_CONTROL];
    hw_tell_clock(self.link, control.word[HW_CONTROL_CLOCK], &self.clock, team);
    if (why == HW_ENDED_NOT) {
      why = hw_why_end(&self.link, &self.life, control);
    }
    const int moves = control.word[HW_CONTROL_GATE] != self.gate || why != HW_ENDED_NOT;
    if (!moves && self.rings.enabled && !self.stopped) {
      hw_take(lobby, &self, state, state->news[HW_LOBBY_DOORBELL].word[0], team);
    }
    hw_collect(lobby, &self, state, team);
    if (!moves) {
      hw_retire(lobby, &self, state, team);
      hw_look_again();
      continue;
    }
    if (!hw_drain(lobby, &self, team)) {
      hw_look_again();
      continue;
    }
    while (hw_retire(lobby, &self, state, team)) {
    }
    self.taken = self.now.cmd_head;  // the rest is forgotten
    if (why != HW_ENDED_NOT) {
      team.sync();
      hw_fence_system();
      if (team.lane == 0) {
        hw_store_word_device(&lobby->stop, 1);
        hw_store_word_system(self.link.ended, why);
      }
      return;
    }
    hw_pass_gate(&self, control.word[HW_CONTROL_GATE], team);
  }
}

#endif  // HW_COORDINATOR_CUH
