// SPDX-License-Identifier: Apache-2.0
//
// The device's state as it lies in the segment, in front of the memory window. Everything that
// must outlive a killed process is here and nowhere else. Words that different sides write stand
// on cache lines of their own.
//
// Any word in here, and any in the window, may have been written by another process, or through
// device.memory. So each is loaded once into a local variable, checked against what this side knows by
// itself (which lies in struct hw_device and in struct hw_queue, out of the others' reach), and only
// then used; hw_fail records a word that cannot be right.
#ifndef HW_SEGMENT_H
#define HW_SEGMENT_H

#include <pthread.h>
#include <stdint.h>

#include "api.h"
#include "hw_desc.h"
#include "hw_link.h"
#include "sync.h"

#define HW_SEGMENT_MAGIC 0x3147455347524E44ull  // "DNRGSEG1" in memory order
#define HW_SEGMENT_LAYOUT 3u
#define HW_WORKERS_MAX 16u
#define HW_LINE _Alignas(HW_CACHE_LINE_BYTES)
#define HW_BIT(name) (1u << (name))
#define HW_NAP_NS (20ll * 1000)  // between two looks at a worker that cannot wake its host

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
  hw_word_t fault;  // enum hw_fault: a word that this side found out of range; cleared by a reset
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
  HW_LINE hw_word_t lock;  // 0: free; else whoever reads, changes or resets the registers (gate.c)
  HW_LINE hw_word_t enable;
  hw_word_t mode;  // CTRL's SPLIT_REWARD, REQUIRE_CHECKED and PUBLISH_TAILS, in place
  hw_word_t locked;
  hw_word_t resetting;
  hw_word_t ring_log2;
  hw_word_t base[6];  // CMD, DONE, REWARD; low word first
  hw_word_t irq_mask;
  hw_word_t tokens_high;
  hw_word_t publish;  // 1: a native queue polls the words in memory, whatever CTRL says [RING-013]
  hw_word_t fenced;  // 1: one side cannot fence for others, so who publishes fences (sync.h)

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
  hw_word_t remote_clock;
  HW_LINE hw_word_t worker_wake;
  hw_word_t worker_sleeping;  // how many sleep
  hw_word_t worker_blocked;   // how many of them for want of room: only those a moved head wakes
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
  hw_word_t seen_descriptors;  // of any worker: events up to here stand in irq_status
  hw_word_t seen_halts;
  hw_link_t link;
  HW_LINE hw_word_t config[HW_CONFIG_WORDS];
  HW_ALIGNED(128) hw_chunk_t reply[HW_LINE_CHUNKS];
  HW_LINE hw_chunk_t report[HW_REPORT_CHUNKS];
  HW_LINE hw_word_t remote_ended;
  hw_chunk_t clock;
} hw_segment_t;

// The words that can be found out of range.
enum hw_fault {
  HW_FAULT_NONE,
  HW_FAULT_CMD_TAIL,
  HW_FAULT_CMD_HEAD,
  HW_FAULT_DONE_TAIL,
  HW_FAULT_DONE_HEAD,
  HW_FAULT_REWARD_TAIL,
  HW_FAULT_REWARD_HEAD,
  HW_FAULT_RING_LOG2,
  HW_FAULT_CMD_BASE,
  HW_FAULT_DONE_BASE,
  HW_FAULT_REWARD_BASE,
  HW_FAULT_COMMITTED,
  HW_FAULT_RECORD,
  HW_FAULT_REPORT,
  HW_FAULT_LOCK,
  HW_FAULTS
};

struct hw_pool;

struct hw_device {
  hw_segment_t *segment;
  uint8_t *window;
  uint64_t window_bytes;
  uint32_t first_index;
  int remote;  // as `remote` was when this was opened, or set to by it
  hw_word_t fault;        // enum hw_fault: the first word found out of range since the last reset
  hw_word_t fault_taken;  // 1: somebody is writing, or has written, the details:
  hw_word_t fault_found;
  hw_word_t fault_low;
  hw_word_t fault_high;
  // 1 while a queue of this handle stores the accepted tail (0) or moves a head (1): who resets the
  // indices waits for it, as it has no locked instruction that would fail then.
  struct {
    HW_LINE hw_word_t moving;
  } index[2];
  struct hw_pool *pool;        // worker threads of this process
  hw_callers_t callers;        // of hd_* and of hq_open, hq_room, hq_ready; a queue counts its own
  hw_word_t cmd_head_seen;     // a lower bound of CMD_HEAD, to spare a cache miss
  int lock_file;               // -1: not shared
  int role;
  _Atomic int peer_state;      // enum hd_peer of the other role
  hw_word_t watching;
  hw_word_t watch_wake;
  pthread_t watcher;
};

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
  return 1u << (ring_log2 >> lsb & 31u);  // no more than an int has, whatever was read
}

static inline hw_word_t *hw_ring_word(uint8_t *window, uint64_t base, int offset) {
  return (hw_word_t *)(window + base - HW_RING_SLOTS_OFFSET + offset);
}

static inline hw_desc_t *hw_ring_lines(uint8_t *window, uint64_t base) {
  return (hw_desc_t *)(window + base);
}

// The first ring of these that does not fit into the window: the fault of its BASE, or of RING_LOG2;
// 0 if all do. `before`: bytes in front of slot 0 that belong to a ring, HW_RING_SLOTS_OFFSET with heads
// and tails in memory.
int hw_misfit(const hw_device_t *device, const hd_geometry_t *rings, uint64_t before);
// The same, recorded: 0, or HD_CORRUPT.
int hw_check_rings(hw_device_t *device, const hd_geometry_t *rings, uint64_t before);

// Record that a word is out of range: HD_CORRUPT. Expected was low to high, modulo 2^32.
int hw_fail(hw_device_t *device, enum hw_fault word, uint32_t found, uint32_t low, uint32_t high);
void hw_clear_fault(hw_device_t *device);

// Whether a word was found out of range, here or by the other side.
static inline int hw_is_corrupt(hw_device_t *device) {
  return hw_get(&device->fault) ||
         (device->lock_file >= 0 && hw_get(&device->segment->peer[!device->role].fault));
}

static inline void hw_raise(hw_segment_t *segment, uint32_t events) {
  atomic_fetch_or(&segment->irq_status, events);
}

// Whether the other side is known to be gone, from what was last seen of it (peer.c, remote_worker.c).
static inline int hw_peer_gone(hw_device_t *device) {
  if (device->remote) {
    return hw_get(&device->segment->remote_ended) != HW_ENDED_NOT;
  }
  return device->lock_file >= 0 && atomic_load(&device->peer_state) != HD_PEER_ALIVE;
}

#endif  // HW_SEGMENT_H
