// SPDX-License-Identifier: Apache-2.0
//
// What the fuzz does with a device: lay it out, reset it, send lines through it and check what returns.
#ifndef HW_FUZZ_RIG_H
#define HW_FUZZ_RIG_H

#include "segment.h"

enum {
  WINDOW = 1 << 14,
  OFFSET = 4096,
  BYTES = OFFSET + WINDOW,
  SLOTS_LOG2 = 4,
  SLOTS = 1 << SLOTS_LOG2,
  CMD = 128,
  DONE = 4096 + 128,
  REWARD = 8192 + 128,
  MANY = 4 * SLOTS,  // lines of a call that must not be believed to fit
  FIRST = 0xFFFFFF00
};
#define POLL_NS (2ll * 1000 * 1000)
#define PATIENCE_NS (20ll * 1000 * 1000)
// On top of a call's own deadline. With threads, a busy machine may keep one waiting for that long; with
// fibers, these are the deadlines inside a call (HW_PATIENCE_NS).
#ifdef HW_FIBERS
#define SLACK_NS (200ull * 1000 * 1000)
#else
#define SLACK_NS (3ull * 1000 * 1000 * 1000)
#endif

typedef struct rig {
  uint8_t *memory;
  int files[2];  // -1: the worker is a thread of the host's device
  hw_device_t *device;
  hw_device_t *worker;
  hw_queue_t *queue;
  int split;
  uint32_t workers;
  uint32_t life;  // part of every line, so that none of an earlier life passes
  uint32_t sent;
  uint32_t taken[2];
  int storing;  // stray stores may happen now
  int fixed;    // no store moves the rings: what lies between them is out of bounds
  uint64_t resets, formats, completions, rejected, unsubmitted;
} rig_t;

// Of fuzz.c: report a violation and end.
_Noreturn void violated(const char *what);
// Of fuzz.c: one stray store.
void stray_store(void);
uint32_t draw(void);

// A fresh life of the device, by its registers alone: 0, or what refused it.
int rig_reset(rig_t *rig, int64_t patience_ns);
// Whether this byte of the segment belongs to nothing.
int rig_in_gap(uint32_t offset);
// Lay the segment out from nothing, as if it had just been made.
void rig_format(rig_t *rig);
void rig_close(rig_t *rig);
// Submit and take a few lines: 1 if all returned right, 0 if something was reported, or not all
// returned in time.
int rig_exchange(rig_t *rig, uint32_t count, int64_t timeout_ns, int storing);
void rig_read_registers(rig_t *rig);

#endif  // HW_FUZZ_RIG_H
