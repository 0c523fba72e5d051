// SPDX-License-Identifier: Apache-2.0
//
// The host's side of the link to a worker behind a bus. The worker has no atomic read-modify-write
// on this memory and can wake nobody, so interrupts are raised here, from what it has reported, when
// somebody looks.
#include <stddef.h>
#include <string.h>

#include "hw_trace.h"
#include "link.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

static const uint64_t WORDS_NS = 100ull * 1000;
// A worker stores a report within microseconds; one that stays torn, or behind the heads, for so long
// was written by something else, or by a worker that was lost half-way.
static const uint64_t REPORT_NS = HW_PATIENCE_NS(200);
// Marks a report that the host is rewriting; a worker's sequence numbers reach it after weeks only,
// and then a reader looks once more.
static const uint32_t REWRITING = 0x80000000u;

HW_STATIC_ASSERT(offsetof(hw_segment_t, reward_head) == offsetof(hw_segment_t, done_head) + 4,
                 "the chunk `heads`");
HW_STATIC_ASSERT(offsetof(hw_segment_t, remote_stop) == offsetof(hw_segment_t, gate) + 4 &&
                     offsetof(hw_segment_t, remote_beat) == offsetof(hw_segment_t, gate) + 8 &&
                     offsetof(hw_segment_t, remote_clock) == offsetof(hw_segment_t, gate) + 12,
                 "the chunk `control`");
HW_STATIC_ASSERT(offsetof(hw_segment_t, gate) ==
                     offsetof(hw_segment_t, newest) + HW_LINE_CHUNKS * sizeof(hw_chunk_t),
                 "the chunk `control` lies behind the newest line");
HW_STATIC_ASSERT(HW_CHUNK_SEQUENCE * (HW_LINE_CHUNKS - 1) + 1 == HW_DESC_BYTES / 4,
                 "the last chunk of a line holds its last word");
HW_STATIC_ASSERT(sizeof(((hw_segment_t *)0)->config) == HW_CONFIG_CHUNKS * sizeof(hw_chunk_t),
                 "the chunks `config`");

static hw_word_t *word_of(hw_chunk_t *chunk, int word) { return (hw_word_t *)&chunk->word[word]; }

static uint32_t peek(hw_chunk_t *chunk, int word) {
  return atomic_load_explicit(word_of(chunk, word), memory_order_relaxed);
}

int hw_link_stores_chunks_whole(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx");
#else
  return 0;
#endif
}

// Put a line as chunks with its index. All are in registers before the first is stored: a worker
// that polls between two of the stores finds half a line and has to poll again.
static void put_line_whole(hw_chunk_t *chunks, const uint32_t *line, uint32_t index) {
#if defined(__x86_64__)
  enum { Last = HW_LINE_CHUNKS - 1 };
  __m128i value[HW_LINE_CHUNKS];
  const int sequence = (int)index;
  for (int at = 0; at < Last; ++at) {
    const int *word = (const int *)line + HW_CHUNK_SEQUENCE * at;
    value[at] = _mm_set_epi32(sequence, word[2], word[1], word[0]);
  }
  value[Last] = _mm_set_epi32(sequence, 0, 0, (int)line[HW_CHUNK_SEQUENCE * Last]);
  for (int at = 0; at < HW_LINE_CHUNKS; ++at) {
    __asm__ volatile("movdqa %1, %0" : "=m"(chunks[at]) : "x"(value[at]));
  }
#else
  (void)chunks, (void)line, (void)index;  // never called: see hw_link_stores_chunks_whole
#endif
}

// The chunks' common sequence number: 1 if they all have one.
static int same_sequence(hw_chunk_t *chunks, int count, uint32_t *sequence) {
  *sequence = hw_get(word_of(&chunks[0], HW_CHUNK_SEQUENCE));
  for (int at = 1; at < count; ++at) {
    if (hw_get(word_of(&chunks[at], HW_CHUNK_SEQUENCE)) != *sequence) {
      return 0;
    }
  }
  return 1;
}

// Copy the payload of chunks that belong together; 0 if they changed meanwhile. The worker stores
// each chunk whole, so a payload from a later report shows in that chunk's sequence number.
static int copy_whole(hw_chunk_t *chunks, int count, uint32_t *to, uint32_t sequence) {
  for (int at = 0; at < count; ++at) {
    for (int word = 0; word < HW_CHUNK_SEQUENCE; ++word) {
      to[HW_CHUNK_SEQUENCE * at + word] = peek(&chunks[at], word);
    }
  }
  atomic_thread_fence(memory_order_acquire);
  for (int at = 0; at < count; ++at) {
    if (peek(&chunks[at], HW_CHUNK_SEQUENCE) != sequence) {
      return 0;
    }
  }
  return 1;
}

typedef uint32_t report_t[HW_REPORT_CHUNKS][HW_CHUNK_SEQUENCE];

// 0, or -1 if no whole report was seen in time.
static int read_report(hw_segment_t *segment, report_t report, uint32_t *sequence) {
  for (uint64_t start = 0;;) {
    for (int tries = 0; tries < 256; ++tries) {
      if (same_sequence(segment->report, HW_REPORT_CHUNKS, sequence) &&
          copy_whole(segment->report, HW_REPORT_CHUNKS, report[0], *sequence)) {
        return 0;
      }
      hw_pause();
    }
    const uint64_t now = hw_now();
    if (start == 0) {
      start = now;
    } else if (now - start > REPORT_NS) {
      return -1;
    }
  }
}

// Put a report in place of the worker's, with its gate closed.
static void write_report(hw_segment_t *segment, report_t report, uint32_t sequence) {
  for (int at = 0; at < HW_REPORT_CHUNKS; ++at) {
    hw_put(word_of(&segment->report[at], HW_CHUNK_SEQUENCE), (sequence - 1u) ^ REWRITING ^ (uint32_t)at);
  }
  atomic_thread_fence(memory_order_release);
  for (int at = 0; at < HW_REPORT_CHUNKS; ++at) {
    for (int word = 0; word < HW_CHUNK_SEQUENCE; ++word) {
      atomic_store_explicit(word_of(&segment->report[at], word), report[at][word], memory_order_relaxed);
    }
    hw_put(word_of(&segment->report[at], HW_CHUNK_SEQUENCE), sequence);
  }
}

// A host that has taken a completion which was sent ahead, or whose tail in memory came first, knows
// more than the report says; what the report then says is on its way [CNT-001].
int hw_remote_snapshot(hw_segment_t *segment, hd_counts_t *counts) {
  report_t report;
  uint32_t sequence;
  for (const uint64_t start = hw_now();;) {
    const uint32_t done_head = hw_get(&segment->done_head);
    const uint32_t reward_head = hw_get(&segment->reward_head);
    if (read_report(segment, report, &sequence)) {
      return -1;
    }
    counts->done_tail = report[0][HW_REPORT_DONE_TAIL];
    counts->reward_tail = report[0][HW_REPORT_REWARD_TAIL];
    if (((int32_t)(done_head - counts->done_tail) <= 0 &&
         (int32_t)(reward_head - counts->reward_tail) <= 0) ||
        hw_get(&segment->remote_ended) != HW_ENDED_NOT) {
      break;
    }
    if (hw_now() - start > REPORT_NS) {
      return -1;
    }
    hw_pause();
  }
  counts->cmd_head = report[0][HW_REPORT_CMD_HEAD];
  counts->descriptors = report[1][HW_REPORT_DESCRIPTORS];
  counts->errors = report[1][HW_REPORT_ERRORS];
  counts->halted = report[1][HW_REPORT_HALTED];
  counts->tokens = report[2][HW_REPORT_TOKENS_LOW] | (uint64_t)report[2][HW_REPORT_TOKENS_HIGH] << 32;
  return 0;
}

void hw_remote_commit(hw_segment_t *segment, const hd_counts_t *counts) {
  report_t report = {{0}};
  uint32_t sequence;
  read_report(segment, report, &sequence);  // a torn one is replaced by a whole one
  report[0][HW_REPORT_CMD_HEAD] = counts->cmd_head;
  report[0][HW_REPORT_DONE_TAIL] = counts->done_tail;
  report[0][HW_REPORT_REWARD_TAIL] = counts->reward_tail;
  report[1][HW_REPORT_DESCRIPTORS] = counts->descriptors;
  report[1][HW_REPORT_ERRORS] = counts->errors;
  report[1][HW_REPORT_HALTED] = counts->halted;
  report[2][HW_REPORT_TOKENS_LOW] = (uint32_t)counts->tokens;
  report[2][HW_REPORT_TOKENS_HIGH] = (uint32_t)(counts->tokens >> 32);
  write_report(segment, report, sequence + 1u);
}

uint32_t hw_remote_stalls(hw_segment_t *segment) {
  report_t report;
  uint32_t sequence;
  return read_report(segment, report, &sequence) ? 0 : report[2][HW_REPORT_STALLS];
}

void hw_remote_reset(hw_device_t *device, uint32_t first_index) {
  hw_segment_t *segment = device->segment;
  // No line and no completion of this life has that index yet, and a later one will replace it.
  const uint32_t none = first_index - 1u;
  for (int at = 0; at < HW_LINE_CHUNKS; ++at) {
    hw_put(word_of(&segment->newest[at], HW_CHUNK_SEQUENCE), none);
    hw_put(word_of(&segment->reply[at], HW_CHUNK_SEQUENCE), none);
  }
  hw_put(&segment->seen_halts, 0);
  if (device->remote) {
    report_t report = {{0}};
    uint32_t sequence;
    read_report(segment, report, &sequence);
    report[2][HW_REPORT_STALLS] = 0;
    report[3][HW_REPORT_HALTS] = 0;
    write_report(segment, report, sequence + 1u);
  }
}

void hw_remote_configure(hw_device_t *device) {
  hw_segment_t *segment = device->segment;
  if (!device->remote) {
    return;
  }
  hw_put(&segment->config[HW_CONFIG_ENABLE], hw_get(&segment->enable));
  hw_put(&segment->config[HW_CONFIG_MODE], hw_get(&segment->mode));
  hw_put(&segment->config[HW_CONFIG_RING_LOG2], hw_get(&segment->ring_log2));
  hw_put(&segment->config[HW_CONFIG_PUBLISH],
         hw_get(&segment->publish) || hw_has_mode(segment, HW_CTRL_PUBLISH_TAILS_BIT));
  for (int word = 0; word < 6; ++word) {
    hw_put(&segment->config[HW_CONFIG_BASE + word], hw_get(&segment->base[word]));
  }
}

// Tell the line below `tail` before the doorbell that publishes it is seen, so that a worker which
// has it needs no other read. It is legal by now, and the ring's own until it is answered.
void hw_remote_ring(hw_device_t *device, uint32_t tail) {
  hw_segment_t *segment = device->segment;
  if (!hw_get(&segment->remote_newest)) {
    return;
  }
  const hd_geometry_t rings = hw_geometry(segment);
  if (hw_check_rings(device, &rings, 0)) {
    return;
  }
  const uint32_t slots = hw_slots(rings.ring_log2, HW_RING_LOG2_CMD_LSB);
  const uint32_t *line =
      (const uint32_t *)(hw_ring_lines(device->window, rings.cmd_base) + ((tail - 1u) & (slots - 1u)));
  put_line_whole(segment->newest, line, tail - 1u);
}

// The words in memory follow the report; an event follows both [RING-013]. A host that has written
// over them itself is not waited for.
static void await_words(hw_device_t *device, uint32_t cmd_head) {
  hw_segment_t *segment = device->segment;
  if (!hw_get(&segment->locked) || !hw_has_mode(segment, HW_CTRL_PUBLISH_TAILS_BIT)) {
    return;
  }
  const hd_geometry_t rings = hw_geometry(segment);
  if (hw_check_rings(device, &rings, HW_RING_SLOTS_OFFSET)) {
    return;
  }
  hw_word_t *word = hw_ring_word(device->window, rings.cmd_base, HW_RING_HEAD_OFFSET);
  for (const uint64_t start = hw_now(); hw_get(word) != cmd_head && hw_now() - start < WORDS_NS;) {
    hw_pause();
  }
}

void hw_remote_events(hw_device_t *device) {
  hw_segment_t *segment = device->segment;
  report_t report;
  hd_counts_t counts;
  uint32_t sequence;
  uint32_t events = 0;
  if (hw_remote_snapshot(segment, &counts) || read_report(segment, report, &sequence)) {
    return;  // hw_read_progress reports it
  }
  if (report[1][HW_REPORT_DESCRIPTORS] != hw_get(&segment->seen_descriptors)) {
    hw_put(&segment->seen_descriptors, report[1][HW_REPORT_DESCRIPTORS]);
    events |= HW_BIT(HW_IRQ_STATUS_COMPLETION_BIT);
    await_words(device, report[0][HW_REPORT_CMD_HEAD]);
  }
  if (report[3][HW_REPORT_HALTS] != hw_get(&segment->seen_halts)) {
    hw_put(&segment->seen_halts, report[3][HW_REPORT_HALTS]);
    events |= HW_BIT(HW_IRQ_STATUS_HALTED_BIT);
  }
  if (events) {
    hw_raise(segment, events);
  }
}

int hw_remote_read_clock(hw_device_t *device, int64_t patience_ns, hd_clock_reading_t *reading) {
  hw_segment_t *segment = device->segment;
  const uint64_t start = hw_now();
  const uint32_t number = hw_get(&segment->remote_clock) + 1u;
  reading->before = hw_stamp();
  hw_put(&segment->remote_clock, number);
  while (hw_get(word_of(&segment->clock, HW_CHUNK_SEQUENCE)) != number) {
    if (hw_peer_gone(device) || (int64_t)(hw_now() - start) > patience_ns) {
      return HD_BUSY;
    }
    hw_pause();
  }
  reading->after = hw_stamp();
  reading->device = peek(&segment->clock, HW_CLOCK_LOW) | (uint64_t)peek(&segment->clock, HW_CLOCK_HIGH) << 32;
  return 0;
}

int hw_remote_reply(hw_segment_t *segment, uint32_t index, void *line) {
  uint32_t words[HW_LINE_CHUNKS * HW_CHUNK_SEQUENCE];
  uint32_t sequence;
  if (!same_sequence(segment->reply, HW_LINE_CHUNKS, &sequence) || sequence != index) {
    return 0;
  }
  if (line) {
    if (!copy_whole(segment->reply, HW_LINE_CHUNKS, words, sequence)) {
      return 0;
    }
    memcpy(line, words, HW_DESC_BYTES);
  }
  return 1;
}
