// SPDX-License-Identifier: Apache-2.0
//
// The device's state as a worker keeps it: rings, progress, life. Read from the host when its gate
// has opened, reported to it after every post (hw_link.h).
#ifndef HW_RINGS_CUH
#define HW_RINGS_CUH

#include "port.cuh"

typedef struct hw_rings {
  hw_u64 cmd;  // addresses of slot 0
  hw_u64 done;
  hw_u64 reward;
  hw_u32 cmd_slots;
  hw_u32 done_slots;
  hw_u32 reward_slots;
  hw_u32 enabled;
  hw_u32 split;
  hw_u32 require_checked;
  hw_u32 publish;
  hw_u32 publish_in_order;
  hw_u64 trace;  // address of the first trace ring; 0: none
} hw_rings_t;

typedef struct hw_progress {
  hw_u32 cmd_head;
  hw_u32 done_tail;
  hw_u32 reward_tail;
  hw_u32 descriptors;
  hw_u32 errors;
  hw_u32 halted;
  hw_u32 stalls;
  hw_u32 halts;
  hw_u64 tokens;
  hw_u32 sequence;  // of the last report
} hw_progress_t;

HW_DEV hw_u64 hw_slot(hw_u64 ring, hw_u32 index, hw_u32 slots) {
  return ring + (hw_u64)(index & (slots - 1u)) * HW_DESC_BYTES;
}

// A word in front of slot 0 [RING-004].
HW_DEV hw_u64 hw_ring_word(hw_u64 ring, hw_u32 offset) {
  return ring - HW_RING_SLOTS_OFFSET + offset;
}

HW_DEV hw_u64 hw_control_address(const hw_link_t &link) {
  return link.newest + HW_LINE_CHUNKS * sizeof(hw_chunk_t);
}

HW_DEV hw_rings_t hw_read_rings(const hw_link_t *link) {
  hw_u32 word[4 * HW_CONFIG_CHUNKS];
  HW_UNROLL
  for (int at = 0; at < HW_CONFIG_CHUNKS; ++at) {
    const hw_chunk_t chunk = hw_load_system(link->config + at * sizeof(hw_chunk_t));
    HW_UNROLL
    for (int part = 0; part < 4; ++part) {
      word[4 * at + part] = chunk.word[part];
    }
  }
  const hw_u32 mode = word[HW_CONFIG_MODE], log2 = word[HW_CONFIG_RING_LOG2];
  const hw_u32 *base = &word[HW_CONFIG_BASE];
  hw_rings_t rings;
  rings.cmd = link->window + (base[0] | (hw_u64)base[1] << 32);
  rings.done = link->window + (base[2] | (hw_u64)base[3] << 32);
  rings.reward = link->window + (base[4] | (hw_u64)base[5] << 32);
  rings.cmd_slots = 1u << (log2 >> HW_RING_LOG2_CMD_LSB & 31u);
  rings.done_slots = 1u << (log2 >> HW_RING_LOG2_DONE_LSB & 31u);
  rings.reward_slots = 1u << (log2 >> HW_RING_LOG2_REWARD_LSB & 31u);
  rings.enabled = word[HW_CONFIG_ENABLE];
  rings.split = mode >> HW_CTRL_SPLIT_REWARD_BIT & 1u;
  rings.require_checked = mode >> HW_CTRL_REQUIRE_CHECKED_BIT & 1u;
  rings.publish_in_order = mode >> HW_CTRL_PUBLISH_TAILS_BIT & 1u;
  rings.publish = word[HW_CONFIG_PUBLISH];
  rings.trace = word[HW_CONFIG_TRACE] | (hw_u64)word[HW_CONFIG_TRACE + 1] << 32;
  return rings;
}

HW_DEV hw_progress_t hw_read_progress(const hw_link_t *link) {
  hw_chunk_t chunk[HW_REPORT_CHUNKS];
  HW_UNROLL
  for (int at = 0; at < HW_REPORT_CHUNKS; ++at) {
    chunk[at] = hw_load_system(link->report + at * sizeof(hw_chunk_t));
  }
  hw_progress_t now;
  now.cmd_head = chunk[0].word[HW_REPORT_CMD_HEAD];
  now.done_tail = chunk[0].word[HW_REPORT_DONE_TAIL];
  now.reward_tail = chunk[0].word[HW_REPORT_REWARD_TAIL];
  now.descriptors = chunk[1].word[HW_REPORT_DESCRIPTORS];
  now.errors = chunk[1].word[HW_REPORT_ERRORS];
  now.halted = chunk[1].word[HW_REPORT_HALTED];
  now.tokens = chunk[2].word[HW_REPORT_TOKENS_LOW] |
               (hw_u64)chunk[2].word[HW_REPORT_TOKENS_HIGH] << 32;
  now.stalls = chunk[2].word[HW_REPORT_STALLS];
  now.halts = chunk[3].word[HW_REPORT_HALTS];
  now.sequence = chunk[0].word[HW_CHUNK_SEQUENCE];
  return now;
}

HW_DEV hw_chunk_t hw_report_chunk(const hw_progress_t &now, hw_u32 at) {
  switch (at) {
    case 0: return hw_chunk_t{{now.cmd_head, now.done_tail, now.reward_tail, now.sequence}};
    case 1: return hw_chunk_t{{now.descriptors, now.errors, now.halted, now.sequence}};
    case 2:
      return hw_chunk_t{
          {(hw_u32)now.tokens, (hw_u32)(now.tokens >> 32), now.stalls, now.sequence}};
    default: return hw_chunk_t{{now.halts, 0, 0, now.sequence}};
  }
}

// Publish progress behind a fence: the report (the registers), and heads and tails in memory. A
// native queue asks for these words itself and takes them in any order; a host that has asked for
// them with CTRL.PUBLISH_TAILS must see each step after the one before [RING-013].
template <hw_u32 Lanes>
HW_DEV void hw_report(const hw_link_t &link, const hw_rings_t &rings, const hw_progress_t &now,
                      const hw_team<Lanes> &team) {
  for (hw_u32 at = team.lane; at < HW_REPORT_CHUNKS; at += Lanes) {
    hw_store_system(link.report + at * sizeof(hw_chunk_t), hw_report_chunk(now, at));
  }
  if (!rings.publish) {
    return;
  }
  if (rings.publish_in_order) {
    team.sync();
    hw_fence_system();
  }
  if (team.lane == 0) {
    hw_store_word_system(hw_ring_word(rings.done, HW_RING_TAIL_OFFSET), now.done_tail);
    if (rings.split) {
      hw_store_word_system(hw_ring_word(rings.reward, HW_RING_TAIL_OFFSET), now.reward_tail);
    }
    if (rings.publish_in_order) {
      hw_fence_system();
    }
    hw_store_word_system(hw_ring_word(rings.cmd, HW_RING_HEAD_OFFSET), now.cmd_head);
  }
}

// Whether a worker has to end, and why: no kernel outlives its host.
typedef struct hw_life {
  hw_u64 born;
  hw_u64 beat_at;
  hw_u32 beat;
} hw_life_t;

HW_DEV hw_life_t hw_be_born() {
  hw_life_t life;
  life.born = life.beat_at = hw_nanoseconds();
  life.beat = 0;
  return life;
}

HW_DEV hw_u32 hw_why_end(const hw_link_t *link, hw_life_t *life, const hw_chunk_t &control) {
  if (control.word[HW_CONTROL_STOP]) {
    return HW_ENDED_STOPPED;
  }
  const hw_u64 now = hw_nanoseconds();
  if (control.word[HW_CONTROL_BEAT] != life->beat) {
    life->beat = control.word[HW_CONTROL_BEAT];
    life->beat_at = now;
  } else if (now - life->beat_at > link->patience_ns) {
    return HW_ENDED_NO_BEAT;
  }
  return link->deadline_ns && now - life->born > link->deadline_ns ? HW_ENDED_DEADLINE
                                                                   : HW_ENDED_NOT;
}

#endif  // HW_RINGS_CUH
