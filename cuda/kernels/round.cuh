// SPDX-License-Identifier: Apache-2.0
//
// A round: up to `Lines` lines in a row on their way through a team. Loading and storing move 16
// bytes a thread and whole lines side by side; the step itself (hw_worker.h) has one thread a line.
#ifndef HW_ROUND_CUH
#define HW_ROUND_CUH

#include "crc.cuh"
#include "rings.cuh"

enum { HW_PARTS = HW_DESC_BYTES / (int)sizeof(hw_chunk_t) };

template <hw_u32 Lines>
struct hw_round {
  hw_chunk_t part[Lines * HW_PARTS];
  hw_u32 tokens_of[Lines];
  // One bit a line.
  hw_u32 stop[Lines / 32];
  hw_u32 reward[Lines / 32];
  hw_u32 error[Lines / 32];
  hw_u64 tokens;  // of the lines posted last
};

// Where a part of a line lies: turned so that neither lines nor parts meet in a memory bank.
HW_DEV hw_u32 hw_part_at(hw_u32 line, hw_u32 part) {
  return HW_PARTS * line + (part ^ (line >> 1 & 3u));
}

template <hw_u32 Lines>
HW_DEV hw_words_t hw_get_line(const hw_round<Lines> *round, hw_u32 at) {
  hw_words_t words;
  HW_UNROLL
  for (hw_u32 part = 0; part < HW_PARTS; ++part) {
    const hw_chunk_t chunk = round->part[hw_part_at(at, part)];
    HW_UNROLL
    for (int word = 0; word < 4; ++word) {
      words.word[4 * part + word] = chunk.word[word];
    }
  }
  return words;
}

template <hw_u32 Lines>
HW_DEV void hw_put_line(hw_round<Lines> *round, hw_u32 at, const hw_words_t &words) {
  HW_UNROLL
  for (hw_u32 part = 0; part < HW_PARTS; ++part) {
    hw_chunk_t chunk;
    HW_UNROLL
    for (int word = 0; word < 4; ++word) {
      chunk.word[word] = words.word[4 * part + word];
    }
    round->part[hw_part_at(at, part)] = chunk;
  }
}

// Lines first .. first + count of the command ring; all loads are in flight before the first ends.
template <hw_u32 Lines, hw_u32 Lanes>
HW_DEV void hw_load_round(hw_round<Lines> *round, const hw_rings_t &rings, hw_u32 first,
                          hw_u32 count, const hw_team<Lanes> &team) {
  enum { Each = Lines * HW_PARTS / Lanes };
  hw_chunk_t loaded[Each];
  HW_UNROLL
  for (hw_u32 turn = 0; turn < Each; ++turn) {
    const hw_u32 at = turn * Lanes + team.lane;
    if (at < count * HW_PARTS) {
      loaded[turn] = hw_load_system(hw_slot(rings.cmd, first + at / HW_PARTS, rings.cmd_slots) +
                                    at % HW_PARTS * sizeof(hw_chunk_t));
    }
  }
  HW_UNROLL
  for (hw_u32 turn = 0; turn < Each; ++turn) {
    const hw_u32 at = turn * Lanes + team.lane;
    if (at < count * HW_PARTS) {
      round->part[hw_part_at(at / HW_PARTS, at % HW_PARTS)] = loaded[turn];
    }
  }
}

// Turn submissions into completions, all but tag and CRC.
template <hw_u32 Lines, hw_u32 Lanes>
HW_DEV void hw_step_round(hw_round<Lines> *round, const hw_rings_t &rings, hw_u32 first,
                          hw_u32 count, const hw_team<Lanes> &team) {
  const hw_u32 whole_warps = (count + 31u) / 32u * 32u;
  for (hw_u32 at = team.lane; at < whole_warps; at += Lanes) {
    hw_step_t step = {0, 0, 0, 0, 0};
    if (at < count) {
      hw_words_t words = hw_get_line(round, at);
      step = hw_worker_step(&words.line, first + at, (int)rings.require_checked);
      hw_put_line(round, at, words);
      round->tokens_of[at] = step.tokens;
    }
    team.mark(round->stop, at, step.stop != 0);
    team.mark(round->reward, at, step.reward && rings.split);
    team.mark(round->error, at, step.error != 0);
  }
}

HW_DEV hw_u32 hw_count_bits(const hw_u32 *words, hw_u32 from, hw_u32 to) {
  hw_u32 count = 0;
  for (hw_u32 word = from / 32; word * 32 < to; ++word) {
    hw_u32 bits = words[word];
    if (word * 32 < from) {
      bits &= 0xFFFFFFFFu << (from - word * 32);
    }
    if (to - word * 32 < 32) {
      bits &= (1u << (to - word * 32)) - 1u;
    }
    count += hw_ones(bits);
  }
  return count;
}

// How many of `count` lines can run before the device halts: up to and with a STOP [LIFE-003].
template <hw_u32 Lines>
HW_DEV hw_u32 hw_until_stop(const hw_round<Lines> *round, hw_u32 count) {
  for (hw_u32 word = 0; word * 32 < count; ++word) {
    if (round->stop[word]) {
      return word * 32 + hw_lowest(round->stop[word]) + 1u;
    }
  }
  return count;
}

// The end of what can be posted of from .. to, each completion into its own ring [RING-008].
template <hw_u32 Lines>
HW_DEV hw_u32 hw_fit(const hw_round<Lines> *round, const hw_rings_t &rings, hw_u32 from, hw_u32 to,
                     hw_u32 done_room, hw_u32 reward_room) {
  if (!rings.split) {
    return to - from <= done_room ? to : from + done_room;
  }
  const hw_u32 rewards = hw_count_bits(round->reward, from, to);
  if (rewards <= reward_room && to - from - rewards <= done_room) {
    return to;
  }
  for (hw_u32 at = from; at < to; ++at) {
    hw_u32 &room = round->reward[at / 32] >> at % 32 & 1u ? reward_room : done_room;
    if (room == 0) {
      return at;
    }
    --room;
  }
  return to;
}

// Where the completion of a line goes: the ring, and the index there.
template <hw_u32 Lines>
HW_DEV hw_u32 hw_post_index(const hw_round<Lines> *round, const hw_rings_t &rings, hw_u32 from,
                            hw_u32 at, hw_u32 done_tail, hw_u32 reward_tail, int *to_reward) {
  *to_reward = 0;
  if (!rings.split) {
    return done_tail + (at - from);
  }
  const hw_u32 rewards = hw_count_bits(round->reward, from, at);
  *to_reward = (int)(round->reward[at / 32] >> at % 32 & 1u);
  return *to_reward ? reward_tail + rewards : done_tail + (at - from) - rewards;
}

// Write tag and CRC of lines from .. to, and add up their tokens.
template <hw_u32 Lines, hw_u32 Lanes>
HW_DEV void hw_seal_round(hw_round<Lines> *round, const hw_rings_t &rings, hw_u32 from, hw_u32 to,
                          hw_u32 done_tail, hw_u32 reward_tail, const hw_team<Lanes> &team) {
  const hw_u32 whole_warps = from + (to - from + 31u) / 32u * 32u;
  for (hw_u32 at = from + team.lane; at < whole_warps; at += Lanes) {
    hw_u32 tokens = 0;
    if (at < to) {
      tokens = round->tokens_of[at];
      if (round->part[hw_part_at(at, 0)].word[0] >> 16 & HW_FLAG_CHECKED) {
        int to_reward;
        const hw_u32 index =
            hw_post_index(round, rings, from, at, done_tail, reward_tail, &to_reward);
        hw_words_t words = hw_get_line(round, at);
        hw_worker_seal(&words.line, index);
        hw_put_line(round, at, words);
      }
    }
    team.add(&round->tokens, tokens);
  }
}

// Write lines from .. to into their completion rings. They are visible behind a fence only.
template <hw_u32 Lines, hw_u32 Lanes>
HW_DEV void hw_store_round(const hw_round<Lines> *round, const hw_rings_t &rings, hw_u32 from,
                           hw_u32 to, hw_u32 done_tail, hw_u32 reward_tail,
                           const hw_team<Lanes> &team) {
  for (hw_u32 at = from * HW_PARTS + team.lane; at < to * HW_PARTS; at += Lanes) {
    const hw_u32 line = at / HW_PARTS, part = at % HW_PARTS;
    int to_reward;
    const hw_u32 index = hw_post_index(round, rings, from, line, done_tail, reward_tail, &to_reward);
    const hw_u64 slot = to_reward ? hw_slot(rings.reward, index, rings.reward_slots)
                                  : hw_slot(rings.done, index, rings.done_slots);
    hw_store_system(slot + part * sizeof(hw_chunk_t), round->part[hw_part_at(line, part)]);
  }
}

#endif  // HW_ROUND_CUH
