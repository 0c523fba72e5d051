// SPDX-License-Identifier: Apache-2.0
//
// Trace events of a worker, in a ring in the host's memory [TRC-003]. A team that posts completions has a
// ring of its own, and writes both events of a line when it has posted it: so a line that was taken and
// given up again has none. The GPU cannot read the host's counter: `host` is 0, for the host to fill in
// [TRC-005]. Without a trace nothing is stamped and nothing is stored.
#ifndef HW_TRACE_CUH
#define HW_TRACE_CUH

#include "hw_trace.h"
#include "round.cuh"

// A ring as its writer keeps it; the same in every lane.
struct hw_tracer {
  hw_u64 ring;  // address of its head; 0: no trace
  hw_u64 mask;
  hw_u64 written;
};

union hw_event {
  hwr_trace_t event;
  hw_chunk_t chunk[2];
};
static_assert(sizeof(hw_event) == sizeof(hwr_trace_t), "an event is two chunks");

HW_DEV hw_u64 hw_long(hw_u32 low, hw_u32 high) { return low | (hw_u64)high << 32; }

// Ring `number` of those that the host has given, as it was left.
HW_DEV hw_tracer hw_read_tracer(const hw_rings_t &rings, hw_u32 number) {
  hw_tracer tracer = {rings.trace, 0, 0};
  if (tracer.ring) {
    const hw_chunk_t first = hw_load_system(tracer.ring);
    tracer.mask = hw_long(first.word[2], first.word[3]);
    tracer.ring += number * (sizeof(hwr_trace_head_t) + (tracer.mask + 1u) * sizeof(hwr_trace_t));
    const hw_chunk_t own = hw_load_system(tracer.ring);
    tracer.written = hw_long(own.word[0], own.word[1]);
  }
  return tracer;
}

HW_DEV hw_u64 hw_stamp_of(const hw_tracer &tracer) {
  return tracer.ring ? hw_nanoseconds() : 0;
}

// Write two events of each of `count` lines: that they were taken, then that their completions were
// written. Of more than the ring holds the last ones.
template <hw_u32 Lanes, typename LineOf, typename TakenAt>
HW_DEV void hw_trace_lines(hw_tracer *tracer, hw_u32 count, LineOf &&line_of, TakenAt &&taken_at,
                           hw_u64 produced_at, const hw_team<Lanes> &team) {
  const hw_u32 events = 2 * count;
  for (hw_u32 at = team.lane; at < events; at += Lanes) {
    if (events - at > tracer->mask + 1u) {
      continue;
    }
    const hw_u32 line = at % count;
    const hw_words_t words = line_of(line);
    hw_event to;
    to.event.host = 0;
    to.event.device = at < count ? taken_at(line) : produced_at;
    to.event.rollout = words.line.rollout_id;
    to.event.leg = hw_leg(words.line.user_data);
    to.event.event = at < count ? HWR_TRACE_CONSUMED : HWR_TRACE_PRODUCED;
    to.event.clock = HWR_CLOCK_GPU_GLOBALTIMER;
    to.event.detail = words.line.opcode;
    const hw_u64 place = tracer->ring + sizeof(hwr_trace_head_t) +
                         ((tracer->written + at) & tracer->mask) * sizeof(hwr_trace_t);
    hw_store_system(place, to.chunk[0]);
    hw_store_system(place + sizeof(hw_chunk_t), to.chunk[1]);
  }
}

// Behind events of `count` lines, by every lane that keeps the ring: count them.
template <hw_u32 Lanes>
HW_DEV void hw_count_events(hw_tracer *tracer, hw_u32 count, const hw_team<Lanes> &team) {
  tracer->written += 2 * count;
  if (team.lane == 0) {
    hw_store_system(tracer->ring, hw_chunk_t{{(hw_u32)tracer->written, (hw_u32)(tracer->written >> 32),
                                              (hw_u32)tracer->mask, (hw_u32)(tracer->mask >> 32)}});
  }
}

// Store this clock with the number that asks for it; once for each number.
template <hw_u32 Lanes>
HW_DEV void hw_tell_clock(const hw_link_t &link, hw_u32 number, hw_u32 *told,
                          const hw_team<Lanes> &team) {
  if (number != *told) {
    *told = number;
    if (team.lane == 0) {
      const hw_u64 now = hw_nanoseconds();
      hw_store_system(link.clock, hw_chunk_t{{(hw_u32)now, (hw_u32)(now >> 32), 0, number}});
    }
  }
}

#endif  // HW_TRACE_CUH
