// SPDX-License-Identifier: Apache-2.0
//
// The latency shape: one warp, the scout, polls the newest line together with the control words, in
// one read of 128 bytes, so that a submission costs no second read over the bus. It does nothing
// else: the longest wait for a line is the time between two polls, and no work must stretch it. The
// first warp acts on what has come. Its completion goes out as chunks that carry its index, ahead
// of the ring; a third warp, the publisher, then brings ring and report up to date.
//
// Lines that are not submitted one by one are fetched from the ring, by the first warp alone. One
// poll is in flight at a time: reads of the same line return one after another.
#ifndef HW_LATENCY_CUH
#define HW_LATENCY_CUH

#include "mailbox.cuh"
#include "trace.cuh"

enum {
  HW_LATENCY_LINES = 32,
  HW_OUTBOX = 8,
  HW_POLLS_A_BEAT = 16,   // how often the host's heart is listened to
  HW_POLLS_UNCLEAR = 16   // how many may show a newest line half-way before the doorbell is read
};
static_assert(HW_OUTBOX + 1 <= HW_REPLIES_AHEAD, "replies wait for a place in the outbox");

// One completion on its way to its ring, with what is to be reported behind it.
struct hw_outgoing {
  hw_words_t words;
  hw_progress_t now;
  hw_u64 slot;
};

// What first warp and publisher share. In the device's own memory, zero at the start.
struct hw_desk {
  alignas(128) hw_u32 sent;       // into the outbox, by the first warp
  alignas(128) hw_u32 published;  // out of it, by the publisher
  alignas(128) hw_u32 ends;
  alignas(128) hw_rings_t rings;
  hw_outgoing outbox[HW_OUTBOX];
};

// ---- the publisher

template <hw_u32 Lanes>
HW_DEV void hw_latency_publisher(const hw_link_t *shared_link, hw_desk *desk,
                                 const hw_team<Lanes> &team) {
  const hw_link_t link = *shared_link;
  hw_u32 published = 0;
  for (;;) {
    const hw_u32 sent = hw_load_word_block(&desk->sent);
    const hw_u32 ends = hw_load_word_block(&desk->ends);
    hw_fence_block();
    if (sent == published) {
      if (ends) {
        return;
      }
      hw_look_again();
      continue;
    }
    for (hw_u32 at = published; at != sent; ++at) {
      const hw_outgoing *out = &desk->outbox[at % HW_OUTBOX];
      for (hw_u32 part = team.lane; part < HW_PARTS; part += Lanes) {
        const hw_u32 *word = &out->words.word[4 * part];
        hw_store_system(out->slot + part * sizeof(hw_chunk_t),
                        hw_chunk_t{{word[0], word[1], word[2], word[3]}});
      }
    }
    const hw_progress_t now = desk->outbox[(sent - 1u) % HW_OUTBOX].now;
    team.sync();
    hw_fence_system();
    hw_report(link, desk->rings, now, team);
    published = sent;
    team.sync();
    hw_fence_block();
    if (team.lane == 0) {
      hw_store_word_block(&desk->published, published);
    }
  }
}

// ---- the first warp

// Send a completion of the done ring ahead of it.
template <hw_u32 Lanes>
HW_DEV void hw_send_reply(const hw_link_t &link, const hw_words_t &words, hw_u32 index,
                          const hw_team<Lanes> &team) {
  hw_chunk_t mine = {{0, 0, 0, index}};
  HW_UNROLL
  for (hw_u32 chunk = 0; chunk < HW_LINE_CHUNKS; ++chunk) {
    if (chunk % Lanes == team.lane) {
      HW_UNROLL
      for (hw_u32 part = 0; part < HW_CHUNK_SEQUENCE; ++part) {
        const hw_u32 word = HW_CHUNK_SEQUENCE * chunk + part;
        mine.word[part] = word < HW_DESC_BYTES / 4 ? words.word[word] : 0;
      }
      if (Lanes < HW_LINE_CHUNKS) {
        hw_store_system(link.reply + chunk * sizeof(hw_chunk_t), mine);
      }
    }
  }
  if (Lanes >= HW_LINE_CHUNKS && team.lane < HW_LINE_CHUNKS) {
    hw_store_system(link.reply + team.lane * sizeof(hw_chunk_t), mine);
  }
}

HW_DEV void hw_count_line(hw_progress_t *now, const hw_step_t &step, int to_reward) {
  ++now->cmd_head;
  ++now->descriptors;
  now->done_tail += !to_reward;
  now->reward_tail += to_reward != 0;
  now->errors += step.error != 0;
  now->tokens += step.tokens;
  now->halted |= step.stop;
  now->halts += step.stop;
  ++now->sequence;
}

// The first warp's own state; the same in every lane.
struct hw_latency_self {
  hw_desk *desk;
  hw_round<HW_LATENCY_LINES> *round;
  hw_link_t link;
  hw_rings_t rings;
  hw_progress_t now;
  hw_life_t life;
  hw_tracer tracer;
  hw_u32 clock;  // the number told last
  hw_u32 gate;
  hw_u32 sent;
  hw_u32 published;  // last seen
  hw_u32 done_head;  // last seen
  hw_u32 reward_head;
  hw_u32 polls;
  hw_u32 unclear;
  int runs;
};

// Wait until the publisher has no more than `most` completions left.
HW_DEV void hw_await_outbox(hw_latency_self *self, hw_u32 most) {
  while (self->sent - self->published > most) {
    self->published = hw_load_word_block(&self->desk->published);
    hw_look_again();
  }
  hw_fence_block();
}

HW_DEV void hw_look_at_heads(hw_latency_self *self) {
  const hw_chunk_t heads = hw_load_system(self->link.heads);
  self->done_head = heads.word[HW_HEADS_DONE];
  self->reward_head = heads.word[HW_HEADS_REWARD];
}

HW_DEV hw_u32 hw_done_room(const hw_latency_self *self) {
  return self->rings.done_slots - (self->now.done_tail - self->done_head);
}

HW_DEV hw_u32 hw_reward_room(const hw_latency_self *self) {
  return self->rings.reward_slots - (self->now.reward_tail - self->reward_head);
}

// Both events of lines that were posted, behind all that the host waits for.
template <hw_u32 Lanes, typename LineOf>
HW_DEV void hw_trace_posted(hw_latency_self *self, hw_u32 count, LineOf &&line_of, hw_u64 taken,
                            hw_u64 produced, const hw_team<Lanes> &team) {
  if (self->tracer.ring) {
    hw_trace_lines(&self->tracer, count, line_of, [&](hw_u32) { return taken; }, produced, team);
    hw_count_events(&self->tracer, count, team);
    team.sync();
  }
}

// The line that the poll returned.
template <hw_u32 Lanes>
HW_DEV void hw_run_newest(hw_latency_self *self, const hw_mail &mail, const hw_team<Lanes> &team) {
  const hw_u64 taken = hw_stamp_of(self->tracer);
  hw_words_t words;
  HW_UNROLL
  for (hw_u32 word = 0; word < HW_DESC_BYTES / 4; ++word) {
    words.word[word] = mail.chunk[word / HW_CHUNK_SEQUENCE].word[word % HW_CHUNK_SEQUENCE];
  }
  hw_progress_t *now = &self->now;
  const hw_words_t submission = words;
  const int sealed = words.line.flags & HW_FLAG_CHECKED || self->rings.require_checked;
  const hw_u32 crc =
      sealed ? hw_crc32c_together([&](hw_u32 at) { return mail.pair(at); }, team) : 0u;
  const hw_step_t step = hw_worker_step_by_crc(&words.line, now->cmd_head,
                                               (int)self->rings.require_checked, crc);
  const int to_reward = self->rings.split && step.reward;
  if ((to_reward ? hw_reward_room(self) : hw_done_room(self)) == 0) {
    hw_look_at_heads(self);
    if ((to_reward ? hw_reward_room(self) : hw_done_room(self)) == 0) {
      ++now->stalls;
      return;  // it will be polled again
    }
  }
  const hw_u32 index = to_reward ? now->reward_tail : now->done_tail;
  if (step.seal) {
    hw_worker_tag(&words.line, index);
    hw_worker_add_crc(&words.line, crc ^ hw_crc_change(submission, words, team));
  }
  const hw_u64 produced = hw_stamp_of(self->tracer);
  if (!to_reward) {
    hw_send_reply(self->link, words, index, team);
  }
  hw_count_line(now, step, to_reward);
  self->runs = !now->halted;
  hw_await_outbox(self, HW_OUTBOX - 1);
  if (team.lane == 0) {
    hw_outgoing *out = &self->desk->outbox[self->sent % HW_OUTBOX];
    out->words = words;
    out->now = *now;
    out->slot = to_reward ? hw_slot(self->rings.reward, index, self->rings.reward_slots)
                          : hw_slot(self->rings.done, index, self->rings.done_slots);
    hw_fence_block();
    hw_store_word_block(&self->desk->sent, self->sent + 1u);
  }
  ++self->sent;
  hw_trace_posted(self, 1, [&](hw_u32) { return words; }, taken, produced, team);
}

// Lines that lie in the ring.
template <hw_u32 Lanes>
HW_DEV void hw_run_from_ring(hw_latency_self *self, hw_u32 published,
                             const hw_team<Lanes> &team) {
  hw_progress_t *now = &self->now;
  const hw_rings_t rings = self->rings;
  const hw_u32 count = published < HW_LATENCY_LINES ? published : (hw_u32)HW_LATENCY_LINES;
  hw_await_outbox(self, 0);
  hw_fence_system();
  if (team.lane == 0) {
    self->round->tokens = 0;
  }
  hw_load_round(self->round, rings, now->cmd_head, count, team);
  team.sync();
  const hw_u64 taken = hw_stamp_of(self->tracer);
  hw_step_round(self->round, rings, now->cmd_head, count, team);
  team.sync();
  hw_look_at_heads(self);
  const hw_u32 until = hw_until_stop(self->round, count);
  const hw_u32 to =
      hw_fit(self->round, rings, 0, until, hw_done_room(self), hw_reward_room(self));
  if (to == 0) {
    ++now->stalls;
    return;
  }
  hw_seal_round(self->round, rings, 0, to, now->done_tail, now->reward_tail, team);
  team.sync();
  const hw_u64 produced = hw_stamp_of(self->tracer);
  // The newest completion of the done ring must be the one of the reply: an older one could be
  // taken for it after 2^32 more.
  for (hw_u32 at = to; at-- > 0;) {
    int to_reward;
    const hw_u32 index = hw_post_index(self->round, rings, 0, at, now->done_tail,
                                       now->reward_tail, &to_reward);
    if (!to_reward) {
      hw_send_reply(self->link, hw_get_line(self->round, at), index, team);
      break;
    }
  }
  hw_store_round(self->round, rings, 0, to, now->done_tail, now->reward_tail, team);
  const hw_u32 rewards = rings.split ? hw_count_bits(self->round->reward, 0, to) : 0;
  now->cmd_head += to;
  now->done_tail += to - rewards;
  now->reward_tail += rewards;
  now->descriptors += to;
  now->errors += hw_count_bits(self->round->error, 0, to);
  now->tokens += self->round->tokens;
  if (hw_count_bits(self->round->stop, 0, to)) {
    now->halted = 1;
    ++now->halts;
    self->runs = 0;
  }
  ++now->sequence;
  team.sync();
  hw_fence_system();
  hw_report(self->link, rings, *now, team);
  team.sync();
  hw_trace_posted(
      self, to, [&](hw_u32 at) { return hw_get_line(self->round, at); }, taken, produced, team);
}

// Whether a poll has brought the line whose turn it is, whole, and nothing else to do.
HW_DEV int hw_is_awaited(const hw_latency_self *self, const hw_mail &mail) {
  return self->runs && mail.is_line(self->now.cmd_head) &&
         mail.control(HW_CONTROL_GATE) == self->gate && mail.control(HW_CONTROL_STOP) == 0;
}

// Whether a poll has brought anything to do.
HW_DEV int hw_is_news(const hw_latency_self *self, const hw_mail &mail) {
  return self->polls % HW_POLLS_A_BEAT == 0 || mail.control(HW_CONTROL_GATE) != self->gate ||
         mail.control(HW_CONTROL_STOP) != 0 || mail.control(HW_CONTROL_CLOCK) != self->clock ||
         (self->runs &&
          (!self->link.newest_is_told || mail.has_part_from(self->now.cmd_head)));
}

// The gate has moved: stop if it is closed; reread the configuration if it is open.
template <hw_u32 Lanes>
HW_DEV void hw_pass_gate(hw_latency_self *self, hw_u32 gate,
                         const hw_team<Lanes> &team) {
  self->gate = gate;
  hw_await_outbox(self, 0);
  hw_fence_system();
  if (gate & 1u) {
    self->runs = 0;
    if (team.lane == 0) {
      hw_store_word_system(self->link.ack, gate);
    }
    return;
  }
  self->rings = hw_read_rings(&self->link);
  self->now = hw_read_progress(&self->link);
  self->tracer = hw_read_tracer(self->rings, 0);
  self->runs = self->rings.enabled && !self->now.halted;
  hw_look_at_heads(self);
  if (team.lane == 0) {
    self->desk->rings = self->rings;
  }
  team.sync();
  hw_fence_block();
}

// Do what a poll has brought beside the awaited line. 0: the worker ends.
template <hw_u32 Lanes>
HW_DEV int hw_heed(hw_latency_self *self, const hw_mail &mail, const hw_team<Lanes> &team) {
  const hw_u32 gate = mail.control(HW_CONTROL_GATE);
  const hw_u32 stop = mail.control(HW_CONTROL_STOP);
  hw_tell_clock(self->link, mail.control(HW_CONTROL_CLOCK), &self->clock, team);
  if (self->polls % HW_POLLS_A_BEAT == 0 || stop) {
    const hw_chunk_t control = {{gate, stop, mail.control(HW_CONTROL_BEAT), 0}};
    const hw_u32 why = hw_why_end(&self->link, &self->life, control);
    if (why != HW_ENDED_NOT) {
      hw_await_outbox(self, 0);
      hw_fence_system();
      if (team.lane == 0) {
        hw_store_word_block(&self->desk->ends, 1);
        hw_store_word_system(self->link.ended, why);
      }
      return 0;
    }
  }
  if (gate != self->gate) {
    hw_pass_gate(self, gate, team);
    return 1;
  }
  if (!self->runs) {
    return 1;
  }
  // The newest line's index implies what is published. Read half-written, it will be complete in
  // the next poll, unless two threads have rung at once: then only the doorbell tells.
  hw_u32 tail = mail.chunk[0].word[HW_CHUNK_SEQUENCE] + 1u;
  if (!self->link.newest_is_told || !mail.is_line(tail - 1u)) {
    if (self->link.newest_is_told && ++self->unclear % HW_POLLS_UNCLEAR != 0) {
      return 1;
    }
    tail = hw_load_system(self->link.doorbell).word[0];
  }
  const hw_u32 published = tail - self->now.cmd_head;
  if (published - 1u < 0x7FFFFFFFu) {  // else none
    hw_run_from_ring(self, published, team);
  }
  return 1;
}

template <hw_u32 Lanes>
HW_DEV void hw_latency_worker(const hw_link_t *link, hw_desk *desk, hw_mailbox *box,
                              hw_round<HW_LATENCY_LINES> *round, const hw_team<Lanes> &team) {
  hw_latency_self self = {};
  self.desk = desk;
  self.round = round;
  self.link = *link;
  self.life = hw_be_born();
  self.gate = 0xFFFFFFFFu;
  for (;;) {
    const hw_mail mail = hw_take_mail(box, self.polls++, team);
    if (hw_is_awaited(&self, mail)) {
      hw_run_newest(&self, mail, team);
    } else if (hw_is_news(&self, mail) && !hw_heed(&self, mail, team)) {
      hw_refuse_mail(box, self.polls, team);
      return;
    }
  }
}

#endif  // HW_LATENCY_CUH
