// SPDX-License-Identifier: Apache-2.0
//
// How the warp that polls hands its polls to the warp that acts on them: the two meet once for each
// poll, which lies in one of two places of shared memory in turn. What was handed over when they
// met is read until they meet again, and meanwhile the next poll fills the other place. So every
// poll is handed over, complete and in order: for the warp that executes it is as if it had polled,
// but the next poll is in flight before this one is examined.
#ifndef HW_MAILBOX_CUH
#define HW_MAILBOX_CUH

#include "port.cuh"

enum { HW_MAIL_CHUNKS = 8 };  // 128 bytes: one read over the bus

// What a poll brought: the newest line and the control words (hw_link.h), the same in every lane.
struct hw_mail {
  hw_chunk_t chunk[HW_MAIL_CHUNKS];
  const hw_chunk_t *place;  // where it lies until the next one is taken

  // Bytes 2 * at and 2 * at + 1 of the line, by an index that may differ from lane to lane.
  HW_METHOD hw_u32 pair(hw_u32 at) const {
    const unsigned short *pairs =
        reinterpret_cast<const unsigned short *>(&place[at / (2 * HW_CHUNK_SEQUENCE)]);
    return pairs[at % (2 * HW_CHUNK_SEQUENCE)];
  }

  HW_METHOD hw_u32 control(hw_u32 word) const { return chunk[HW_LINE_CHUNKS].word[word]; }
  // Whether the line is whole, and of this index.
  HW_METHOD int is_line(hw_u32 index) const {
    hw_u32 differ = 0;
    HW_UNROLL
    for (hw_u32 at = 0; at < HW_LINE_CHUNKS; ++at) {
      differ |= chunk[at].word[HW_CHUNK_SEQUENCE] ^ index;
    }
    return differ == 0;
  }
  // Whether a part of it is of this index or a later one, in u32 arithmetic that wraps.
  HW_METHOD int has_part_from(hw_u32 index) const {
    hw_u32 all_before = ~0u;
    HW_UNROLL
    for (hw_u32 at = 0; at < HW_LINE_CHUNKS; ++at) {
      all_before &= chunk[at].word[HW_CHUNK_SEQUENCE] - index;
    }
    return all_before < 0x80000000u;
  }
};

// Zero at the start.
struct hw_mailbox {
  alignas(128) hw_chunk_t place[2][HW_MAIL_CHUNKS];
  hw_u32 ends[2];  // the taker's, written before they meet: the scout may still read the other
  hw_meeting meeting;
};

template <hw_u32 Lanes>
HW_DEV hw_mail hw_take_mail(hw_mailbox *box, hw_u32 number, const hw_team<Lanes> &team) {
  hw_meet(&box->meeting, team);
  hw_mail mail;
  mail.place = box->place[number % 2];
  HW_UNROLL
  for (hw_u32 at = 0; at < HW_MAIL_CHUNKS; ++at) {
    mail.chunk[at] = mail.place[at];
  }
  return mail;
}

// Instead of taking another mail: the scout ends.
template <hw_u32 Lanes>
HW_DEV void hw_refuse_mail(hw_mailbox *box, hw_u32 number, const hw_team<Lanes> &team) {
  if (team.lane == 0) {
    box->ends[number % 2] = 1;
  }
  hw_meet(&box->meeting, team);
}

// A poll, its chunks side by side in the first lanes: one read over the bus.
template <hw_u32 Lanes>
struct hw_poll {
  enum : hw_u32 { Each = Lanes < HW_MAIL_CHUNKS ? HW_MAIL_CHUNKS / Lanes : 1 };
  hw_chunk_t chunk[Each];

  HW_METHOD void load(hw_u64 address, const hw_team<Lanes> &team) {
    HW_UNROLL
    for (hw_u32 turn = 0; turn < Each; ++turn) {
      if (team.lane < HW_MAIL_CHUNKS) {
        chunk[turn] = hw_load_system(address + (turn * Lanes + team.lane) * sizeof(hw_chunk_t));
      }
    }
  }
  HW_METHOD void put(hw_chunk_t *to, const hw_team<Lanes> &team) const {
    HW_UNROLL
    for (hw_u32 turn = 0; turn < Each; ++turn) {
      if (team.lane < HW_MAIL_CHUNKS) {
        to[turn * Lanes + team.lane] = chunk[turn];
      }
    }
  }
};

// Poll the data at `address`, until the taker refuses. One poll is always in flight.
template <hw_u32 Lanes>
HW_DEV void hw_scout(hw_u64 address, hw_mailbox *box, const hw_team<Lanes> &team) {
  hw_poll<Lanes> next;
  next.load(address, team);
  for (hw_u32 number = 0;; ++number) {
    const hw_poll<Lanes> poll = next;
    next.load(address, team);
    poll.put(box->place[number % 2], team);
    hw_meet(&box->meeting, team);
    if (box->ends[number % 2]) {
      return;
    }
  }
}

#endif  // HW_MAILBOX_CUH
