// SPDX-License-Identifier: Apache-2.0
//
// The device's state as it lies in the segment, in front of the memory window. Everything that
// must outlive a killed process is here and nowhere else. Words that different sides write stand
// on cache lines of their own.
#ifndef HW_SEGMENT_H
#define HW_SEGMENT_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#include "api.h"
#include "fast_crc.h"
#include "hw_link.h"
#include "hw_worker.h"

#define HW_SEGMENT_MAGIC 0x3147455347524E44ull  // "DNRGSEG1" in memory order
#define HW_SEGMENT_LAYOUT 1u
#define HW_WORKERS_MAX 16u
#define HW_LINE _Alignas(HW_CACHE_LINE_BYTES)
#define HW_BIT(name) (1u << (name))
#define HW_NAP_NS (20ll * 1000)  // between two looks at a worker that cannot wake its host

typedef _Atomic uint32_t hw_word_t;

// One of two records of the device's progress. The worker writes the one that is not in force,
// then moves `committed`: a worker killed between any two stores leaves a whole record behind, and
// tails, head and counters never disagree.
typedef struct hw_record {
  HW_LINE hw_word_t cmd_head;
  hw_word_t done_tail;
  hw_word_t reward_tail;
  hw_word_t descriptors;
  hw_word_t errors;
  hw_word_t halted;
  _Atomic uint64_t tokens;
} hw_record_t;

typedef struct hw_peer_line {
  HW_LINE _Atomic uint64_t pid;
  _Atomic uint64_t beat;  // time of the last heartbeat
  _Atomic uint64_t incarnation;
  hw_word_t ended;  // 1: left in order
} hw_peer_line_t;

typedef struct hw_ack {
  HW_LINE hw_word_t gate;  // the last closed gate that this worker stands before
  hw_word_t alive;
} hw_ack_t;

typedef struct hw_segment {
  HW_LINE uint64_t magic;
  uint32_t layout;
  uint32_t contract_hash;
  uint64_t segment_bytes;
  uint64_t window_offset;
  uint64_t window_bytes;
  uint32_t first_index;

  // Written by the host under the lock, with the gate closed where the worker reads it.
  HW_LINE pthread_mutex_t lock;
  HW_LINE hw_word_t enable;
  hw_word_t mode;  // CTRL's SPLIT_REWARD, REQUIRE_CHECKED and PUBLISH_TAILS, in place
  hw_word_t locked;
  hw_word_t resetting;
  hw_word_t ring_log2;
  hw_word_t base[6];  // CMD, DONE, REWARD; low word first
  hw_word_t irq_mask;
  hw_word_t tokens_high;
  hw_word_t publish;  // 1: a native queue polls the words in memory, whatever CTRL says [RING-013]

  HW_LINE hw_word_t status_errors;  // STATUS's w1c bits, in place
  hw_word_t bad_doorbells;

  HW_LINE hw_word_t cmd_tail;  // the accepted doorbell; the chunk `doorbell` of a link (hw_link.h)
  HW_LINE hw_word_t done_head;  // the chunk `heads` of a link
  hw_word_t reward_head;

  HW_LINE hw_word_t irq_status;
  HW_ALIGNED(128) hw_chunk_t newest[HW_LINE_CHUNKS];  // of a link, with `control` right behind
  HW_ALIGNED(16) hw_word_t gate;  // odd: closed, workers stand still; the chunk `control`
  hw_word_t remote_stop;
  hw_word_t remote_beat;
  HW_LINE hw_word_t worker_wake;
  hw_word_t worker_sleeping;
  HW_LINE hw_word_t host_wake;
  hw_word_t host_sleeping;

  HW_LINE hw_word_t committed;  // record[committed & 1] is in force
  hw_word_t stalls;
  hw_record_t record[2];

  hw_ack_t ack[HW_WORKERS_MAX];
  hw_peer_line_t peer[2];  // by enum hd_role

  // Of a remote worker (hw_link.h): where `remote` is set, `report` stands for `record`.
  HW_LINE hw_word_t remote;
  hw_word_t remote_newest;  // 1: the worker wants the last line published beside the doorbell
  hw_word_t seen_descriptors;  // events up to here stand in irq_status
  hw_word_t seen_halts;
  hw_link_t link;
  HW_LINE hw_word_t config[HW_CONFIG_WORDS];
  HW_ALIGNED(128) hw_chunk_t reply[HW_LINE_CHUNKS];
  HW_LINE hw_chunk_t report[HW_REPORT_CHUNKS];
  HW_LINE hw_word_t remote_ended;
} hw_segment_t;

struct hw_pool;

struct hw_device {
  hw_segment_t *segment;
  uint8_t *window;
  struct hw_pool *pool;        // worker threads of this process
  hw_word_t cmd_head_seen;     // a lower bound of CMD_HEAD, to spare a cache miss
  int lock_file;               // -1: not shared
  int role;
  _Atomic int peer_state;      // enum hd_peer of the other role
  hw_word_t watching;
  hw_word_t watch_wake;
  pthread_t watcher;
};

static inline uint32_t hw_get(hw_word_t *word) {
  return atomic_load_explicit(word, memory_order_acquire);
}

static inline void hw_put(hw_word_t *word, uint32_t value) {
  atomic_store_explicit(word, value, memory_order_release);
}

static inline void hw_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static inline int hw_has_mode(hw_segment_t *segment, int ctrl_bit) {
  return (hw_get(&segment->mode) & HW_BIT(ctrl_bit)) != 0;
}

static inline hd_geometry_t hw_geometry(hw_segment_t *segment) {
  hd_geometry_t geometry;
  geometry.cmd_base = hw_get(&segment->base[0]) | (uint64_t)hw_get(&segment->base[1]) << 32;
  geometry.done_base = hw_get(&segment->base[2]) | (uint64_t)hw_get(&segment->base[3]) << 32;
  geometry.reward_base = hw_get(&segment->base[4]) | (uint64_t)hw_get(&segment->base[5]) << 32;
  geometry.ring_log2 = hw_get(&segment->ring_log2);
  geometry.split = hw_has_mode(segment, HW_CTRL_SPLIT_REWARD_BIT);
  return geometry;
}

static inline uint32_t hw_slots(uint32_t ring_log2, int lsb) {
  return 1u << (ring_log2 >> lsb & 0xFFu);
}

static inline hw_word_t *hw_ring_word(uint8_t *window, uint64_t base, int offset) {
  return (hw_word_t *)(window + base - HW_RING_SLOTS_OFFSET + offset);
}

static inline hw_desc_t *hw_ring_lines(uint8_t *window, uint64_t base) {
  return (hw_desc_t *)(window + base);
}

// The record in force, whole; the worker may be committing meanwhile. Field loads are acquire and
// the worker's stores release, so a field from a later record shows in `committed`.
void hw_snapshot(hw_segment_t *segment, hd_counts_t *counts);
// Put a new record in force. Only the side that owns the device at that moment may.
void hw_commit(hw_segment_t *segment, const hd_counts_t *counts);

uint64_t hw_now(void);
void hw_futex_wait(hw_word_t *word, uint32_t expected, int64_t timeout_ns);
void hw_futex_wake(hw_word_t *word);
// Wake whoever sleeps on `wake` if somebody does. The caller has just made its news visible with a
// sequentially consistent read-modify-write; the sleeper announces itself with one before it looks.
// The kernel may put the sleeper on this very core, where a caller that goes on to spin would keep
// it waiting for a whole time slice: so the caller gives way once.
static inline void hw_rouse(hw_word_t *wake, hw_word_t *sleeping) {
  if (atomic_load(sleeping)) {
    atomic_fetch_add(wake, 1);
    hw_futex_wake(wake);
    sched_yield();
  }
}

void hw_reset(hw_segment_t *segment);
void hw_lock(hw_device_t *device);
void hw_unlock(hw_device_t *device);
void hw_raise(hw_segment_t *segment, uint32_t events);
// Ring the doorbell: 1 if the tail was accepted [DB-002] [DB-006].
int hw_doorbell(hw_device_t *device, uint32_t tail);
// Move a completion ring's head over taken lines; a wrong value is ignored [RING-010].
void hw_move_head(hw_device_t *device, int reward, uint32_t head);
// Stop the workers at a batch's end; 0, or -1 if one did not come. To be paired with hw_open_gate.
int hw_close_gate(hw_device_t *device);
void hw_open_gate(hw_device_t *device);
// Write the head and tail words in memory anew from the record, where the rings have them.
void hw_publish(hw_device_t *device, const hd_counts_t *counts);
int hw_peer_gone(hw_device_t *device);

// The remote worker's side of what is above; each does nothing, or is not called, without one.
void hw_remote_snapshot(hw_segment_t *segment, hd_counts_t *counts);
void hw_remote_commit(hw_segment_t *segment, const hd_counts_t *counts);
void hw_remote_reset(hw_segment_t *segment);
void hw_remote_configure(hw_segment_t *segment);
void hw_remote_ring(hw_device_t *device, uint32_t tail);
// Raise what happened since it was last called; under the lock.
void hw_remote_events(hw_device_t *device);
uint32_t hw_remote_stalls(hw_segment_t *segment);
// Take the completion of this index if it is the newest; 1 if it was.
int hw_remote_reply(hw_segment_t *segment, uint32_t index, void *line);

#endif  // HW_SEGMENT_H
