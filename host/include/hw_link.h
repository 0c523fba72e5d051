// SPDX-License-Identifier: Apache-2.0
//
// How a host and a worker behind a bus share a segment: one without atomic read-modify-write on the
// host's memory, and whose every read of it costs a round trip. Valid in C11, C++ and CUDA C++.
//
// The unit is the chunk, 16 aligned bytes, loaded and stored whole. Where a chunk has a sequence
// number in its last word, a set of chunks with the same number is one value, and no second read
// is needed to know that it has arrived. Each word has one writer.
#ifndef HW_LINK_H
#define HW_LINK_H

#include "hw_desc.h"

typedef struct hw_chunk {
  HW_ALIGNED(16) hw_u32 word[4];
} hw_chunk_t;

enum {
  HW_CHUNK_SEQUENCE = 3,  // the word of a chunk that holds its sequence number
  HW_LINE_CHUNKS = 6,     // a line as chunks of 12 bytes and a sequence number
  HW_CONFIG_CHUNKS = 3,
  HW_REPORT_CHUNKS = 4,
  HW_REPLIES_AHEAD = 9  // completions by which replies are ahead of tails and report, at most
};

// The first word of the chunk `doorbell` is CMD_TAIL; words of the chunk `heads`:
enum { HW_HEADS_DONE = 0, HW_HEADS_REWARD = 1 };
// Words of the chunk `control`. An odd gate is closed: the worker posts what it has accepted, stores
// the gate's value into `ack`, and touches nothing until the gate is even again; then it reads
// `config` and `report` again. `beat` changes as long as the host lives. When `clock` changes, the worker
// stores its clock into the chunk `clock`, with that number.
enum { HW_CONTROL_GATE = 0, HW_CONTROL_STOP = 1, HW_CONTROL_BEAT = 2, HW_CONTROL_CLOCK = 3 };
// Words of `config`, as one array; bases are offsets into the window, low words first.
enum {
  HW_CONFIG_ENABLE = 0,
  HW_CONFIG_MODE = 1,  // CTRL's mode bits, in place
  HW_CONFIG_RING_LOG2 = 2,
  HW_CONFIG_PUBLISH = 3,  // 1: the rings have heads and tails in memory [RING-004]
  HW_CONFIG_BASE = 4,     // CMD, DONE, REWARD
  HW_CONFIG_TRACE = 10,   // address of the first trace ring, low word first; 0: no trace. All have its
                          // size, and lie one after another, one for each block that posts [TRC-003]
  HW_CONFIG_WORDS = 12
};
// Words of the chunk `clock`, nanoseconds; its sequence number is the one asked with.
enum { HW_CLOCK_LOW = 0, HW_CLOCK_HIGH = 1 };
// Words of the chunks of `report`: the worker's, but the host's while the gate is closed. They carry
// one sequence number, which grows with every report.
enum { HW_REPORT_CMD_HEAD = 0, HW_REPORT_DONE_TAIL = 1, HW_REPORT_REWARD_TAIL = 2 };          // 0
enum { HW_REPORT_DESCRIPTORS = 0, HW_REPORT_ERRORS = 1, HW_REPORT_HALTED = 2 };               // 1
enum { HW_REPORT_TOKENS_LOW = 0, HW_REPORT_TOKENS_HIGH = 1, HW_REPORT_STALLS = 2 };           // 2
enum { HW_REPORT_HALTS = 0 };                                                                 // 3

// Why a worker has ended.
enum { HW_ENDED_NOT = 0, HW_ENDED_STOPPED = 1, HW_ENDED_NO_BEAT = 2, HW_ENDED_DEADLINE = 3, HW_ENDED_LOST = 4 };

// Addresses in host memory, valid on both sides of the bus.
typedef struct hw_link {
  hw_u64 window;   // the memory window; ring bases are offsets into it
  hw_u64 doorbell; // 1 chunk, the host's: the tail accepted last
  hw_u64 heads;    // 1 chunk, the host's: what it has taken
  hw_u64 config;   // HW_CONFIG_CHUNKS chunks
  hw_u64 newest;   // HW_LINE_CHUNKS chunks: the last line published; sequence: its index. Then the
                   // chunk `control`, so that one read of 128 bytes fetches all
  hw_u64 reply;    // HW_LINE_CHUNKS chunks: the last completion of the done ring; likewise
  hw_u64 report;   // HW_REPORT_CHUNKS chunks
  hw_u64 ack;      // 1 word: the closed gate that the worker stands before
  hw_u64 ended;    // 1 word
  hw_u64 clock;    // 1 chunk
  hw_u64 newest_is_told;  // 0: look at the doorbell
  hw_u64 patience_ns;  // a beat that has not changed for so long means that the host is gone
  hw_u64 deadline_ns;  // the longest life of a worker; 0: no limit
} hw_link_t;

#endif  // HW_LINK_H
