// SPDX-License-Identifier: Apache-2.0
//
// The latency shape: one team polls everything that the host can tell it in one read, the newest
// line among it, so that a submission costs no second read. The completion goes out as chunks that
// carry its index, ahead of the ring; then the ring is brought up to date.
#ifndef HW_LATENCY_CUH
#define HW_LATENCY_CUH

#include "round.cuh"

enum {
  HW_LATENCY_LINES = 32,
  HW_MAIL_DOORBELL = HW_LINE_CHUNKS,
  HW_MAIL_HEADS,
  HW_MAIL_CONTROL,
  HW_MAIL_CHUNKS
};

struct hw_latency_state {
  hw_chunk_t mail[HW_MAIL_CHUNKS];
  hw_round<HW_LATENCY_LINES> round;
};

HW_DEV hw_u64 hw_mail_address(const hw_link_t &link, hw_u32 at) {
  return at < HW_LINE_CHUNKS      ? link.newest + at * sizeof(hw_chunk_t)
         : at == HW_MAIL_DOORBELL ? link.doorbell
         : at == HW_MAIL_HEADS    ? link.heads
                                  : link.control;
}

// The newest line, if it is the one of this index.
template <hw_u32 Lanes>
HW_DEV int hw_take_newest(hw_latency_state *state, hw_u32 index, const hw_team<Lanes> &team) {
  for (int at = 0; at < HW_LINE_CHUNKS; ++at) {
    if (state->mail[at].word[HW_CHUNK_SEQUENCE] != index) {
      return 0;
    }
  }
  for (hw_u32 word = team.lane; word < HW_DESC_BYTES / 4; word += Lanes) {
    state->round.part[hw_part_at(0, word / 4)].word[word % 4] =
        state->mail[word / HW_CHUNK_SEQUENCE].word[word % HW_CHUNK_SEQUENCE];
  }
  return 1;
}

// Send the last completion for the done ring of lines 0 .. to ahead.
template <hw_u32 Lanes>
HW_DEV void hw_send_reply(const hw_link_t &link, const hw_latency_state *state,
                          const hw_rings_t &rings, hw_u32 to, const hw_progress_t &before,
                          const hw_team<Lanes> &team) {
  for (hw_u32 at = to; at-- > 0;) {
    int to_reward;
    const hw_u32 index = hw_post_index(&state->round, rings, 0, at, before.done_tail,
                                       before.reward_tail, &to_reward);
    if (to_reward) {
      continue;
    }
    for (hw_u32 chunk = team.lane; chunk < HW_LINE_CHUNKS; chunk += Lanes) {
      hw_chunk_t out = {{0, 0, 0, index}};
      for (hw_u32 part = 0; part < HW_CHUNK_SEQUENCE; ++part) {
        const hw_u32 word = HW_CHUNK_SEQUENCE * chunk + part;
        if (word < HW_DESC_BYTES / 4) {
          out.word[part] = state->round.part[hw_part_at(at, word / 4)].word[word % 4];
        }
      }
      hw_store_system(link.reply + chunk * sizeof(hw_chunk_t), out);
    }
    return;
  }
}

template <hw_u32 Lanes>
HW_DEV void hw_latency_worker(const hw_link_t *shared_link, hw_latency_state *state,
                              const hw_team<Lanes> &team) {
  const hw_link_t link = *shared_link;
  hw_life_t life = hw_be_born();
  hw_rings_t rings = {};
  hw_progress_t now = {};
  hw_u32 gate = 0xFFFFFFFFu;
  int runs = 0;
  for (hw_u32 turn = 0;; ++turn) {
    team.sync();
    for (hw_u32 at = team.lane; at < HW_MAIL_CHUNKS; at += Lanes) {
      state->mail[at] = hw_load_system(hw_mail_address(link, at));
    }
    if (team.lane == 0) {
      state->round.tokens = 0;
    }
    team.sync();
    const hw_chunk_t control = state->mail[HW_MAIL_CONTROL];
    if (turn % 256 == 0 || control.word[HW_CONTROL_STOP]) {
      const hw_u32 why = hw_why_end(&link, &life, control);
      if (why != HW_ENDED_NOT) {
        hw_fence_system();
        if (team.lane == 0) {
          hw_store_word_system(link.ended, why);
        }
        return;
      }
    }
    if (control.word[HW_CONTROL_GATE] != gate) {
      gate = control.word[HW_CONTROL_GATE];
      hw_fence_system();
      if (gate & 1u) {
        runs = 0;
        if (team.lane == 0) {
          hw_store_word_system(link.ack, gate);
        }
      } else {
        rings = hw_read_rings(&link);
        now = hw_read_progress(&link);
        runs = rings.enabled && !now.halted;
      }
      continue;
    }
    if (!runs) {
      hw_pause();
      continue;
    }
    const hw_u32 first = now.cmd_head;
    hw_u32 count = 1;
    if (!hw_take_newest(state, first, team)) {
      const hw_u32 published = state->mail[HW_MAIL_DOORBELL].word[0] - first;
      if (published - 1u >= 0x7FFFFFFFu) {  // none, or a tail older than a line that came ahead
        hw_look_again();
        continue;
      }
      count = published < HW_LATENCY_LINES ? published : (hw_u32)HW_LATENCY_LINES;
      hw_fence_system();
      hw_load_round(&state->round, rings, first, count, team);
    }
    team.sync();
    hw_step_round(&state->round, rings, first, count, team);
    team.sync();
    const hw_chunk_t heads = state->mail[HW_MAIL_HEADS];
    const hw_u32 until = hw_until_stop(&state->round, count);
    const hw_u32 to =
        hw_fit(&state->round, rings, 0, until,
               rings.done_slots - (now.done_tail - heads.word[HW_HEADS_DONE]),
               rings.reward_slots - (now.reward_tail - heads.word[HW_HEADS_REWARD]));
    if (to == 0) {
      ++now.stalls;
      hw_look_again();
      continue;
    }
    hw_seal_round(&state->round, rings, 0, to, now.done_tail, now.reward_tail, team);
    team.sync();
    hw_send_reply(link, state, rings, to, now, team);
    hw_store_round(&state->round, rings, 0, to, now.done_tail, now.reward_tail, team);
    const hw_u32 rewards = rings.split ? hw_count_bits(state->round.reward, 0, to) : 0;
    now.cmd_head += to;
    now.done_tail += to - rewards;
    now.reward_tail += rewards;
    now.descriptors += to;
    now.errors += hw_count_bits(state->round.error, 0, to);
    now.tokens += state->round.tokens;
    if (hw_count_bits(state->round.stop, 0, to)) {
      now.halted = 1;
      ++now.halts;
      runs = 0;
    }
    ++now.sequence;
    team.sync();
    hw_fence_system();
    hw_report(&link, rings, now, team);
  }
}

#endif  // HW_LATENCY_CUH
