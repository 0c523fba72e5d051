// SPDX-License-Identifier: Apache-2.0
//
// Registers, doorbell and life cycle of the cpu device: sections 6 and 7 of the contract. A
// register access runs in the caller's thread; CTRL is written with the gate closed.
#include "registers.h"

#include "gate.h"
#include "link.h"
#include "progress.h"

static const uint32_t MODE_BITS = HW_BIT(HW_CTRL_SPLIT_REWARD_BIT) |
                                  HW_BIT(HW_CTRL_REQUIRE_CHECKED_BIT) |
                                  HW_BIT(HW_CTRL_PUBLISH_TAILS_BIT);
static const uint32_t STATUS_ERRORS = HW_BIT(HW_STATUS_BAD_CONFIG_BIT) |
                                      HW_BIT(HW_STATUS_BAD_DOORBELL_BIT) |
                                      HW_BIT(HW_STATUS_BUS_ERROR_BIT);
static const uint32_t IRQ_BITS = HW_BIT(HW_IRQ_STATUS_COMPLETION_BIT) |
                                 HW_BIT(HW_IRQ_STATUS_HALTED_BIT) |
                                 HW_BIT(HW_IRQ_STATUS_ERROR_BIT);
static const uint32_t RING_LOG2_BITS = 0x00FFFFFFu;

static void raise_error(hw_segment_t *segment, int status_bit) {
  atomic_fetch_or(&segment->status_errors, HW_BIT(status_bit));
  hw_raise(segment, HW_BIT(HW_IRQ_STATUS_ERROR_BIT));
}

static int ring_fits(hw_segment_t *segment, uint64_t base, uint32_t log2) {
  const uint64_t before = hw_has_mode(segment, HW_CTRL_PUBLISH_TAILS_BIT) ? HW_RING_SLOTS_OFFSET : 0;
  return log2 >= HW_RING_LOG2_MIN && log2 <= HW_RING_LOG2_MAX && base % HW_DESC_BYTES == 0 &&
         base >= before && base <= segment->window_bytes &&
         ((uint64_t)HW_DESC_BYTES << log2) <= segment->window_bytes - base;
}

static int configuration_is_good(hw_segment_t *segment) {
  const hd_geometry_t rings = hw_geometry(segment);
  return ring_fits(segment, rings.cmd_base, rings.ring_log2 >> HW_RING_LOG2_CMD_LSB & 0xFFu) &&
         ring_fits(segment, rings.done_base, rings.ring_log2 >> HW_RING_LOG2_DONE_LSB & 0xFFu) &&
         (!rings.split || ring_fits(segment, rings.reward_base,
                                    rings.ring_log2 >> HW_RING_LOG2_REWARD_LSB & 0xFFu));
}

// With the gate closed.
static void control(hw_device_t *device, uint32_t value) {
  hw_segment_t *segment = device->segment;
  hd_counts_t counts;
  if (value & HW_BIT(HW_CTRL_RESET_BIT)) {
    hw_reset(segment);
    hw_put(&device->cmd_head_seen, segment->first_index);
    return;
  }
  if (!hw_get(&segment->locked)) {
    hw_put(&segment->mode, value & MODE_BITS);
  }
  if (!(value & HW_BIT(HW_CTRL_ENABLE_BIT))) {
    hw_put(&segment->enable, 0);
  } else if (hw_get(&segment->locked) || configuration_is_good(segment)) {
    hw_put(&segment->locked, 1);
    hw_put(&segment->enable, 1);
  } else {
    raise_error(segment, HW_STATUS_BAD_CONFIG_BIT);
  }
  hw_snapshot(segment, &counts);
  if (value & HW_BIT(HW_CTRL_RESUME_BIT) && counts.halted) {
    counts.halted = 0;
    hw_commit(segment, &counts);
  }
}

int hw_doorbell(hw_device_t *device, uint32_t tail) {
  hw_segment_t *segment = device->segment;
  uint32_t accepted = atomic_load(&segment->cmd_tail);
  for (;;) {
    uint32_t legal = tail == accepted;
    if (!legal && hw_get(&segment->enable)) {
      const uint32_t slots = hw_slots(hw_get(&segment->ring_log2), HW_RING_LOG2_CMD_LSB);
      uint32_t head = hw_get(&device->cmd_head_seen);
      if (tail - head > slots) {
        hd_counts_t counts;
        hw_snapshot(segment, &counts);
        head = counts.cmd_head;
        hw_put(&device->cmd_head_seen, head);
      }
      legal = tail - head <= slots && accepted - head <= tail - head;
    }
    if (!legal) {
      atomic_fetch_add(&segment->bad_doorbells, 1);
      raise_error(segment, HW_STATUS_BAD_DOORBELL_BIT);
      return 0;
    }
    if (tail != accepted) {
      hw_remote_ring(device, tail);
    }
    if (atomic_compare_exchange_strong(&segment->cmd_tail, &accepted, tail)) {
      hw_rouse(&segment->worker_wake, &segment->worker_sleeping);
      return 1;
    }
  }
}

// Move a completion ring's head over taken lines; a wrong value is ignored [RING-010].
static void move_head(hw_device_t *device, int reward, uint32_t head) {
  hw_segment_t *segment = device->segment;
  hw_word_t *word = reward ? &segment->reward_head : &segment->done_head;
  uint32_t present = atomic_load(word);
  hd_counts_t counts;
  hw_snapshot(segment, &counts);
  const uint32_t tail = reward ? counts.reward_tail : counts.done_tail;
  do {
    if (head - present > tail - present) {
      return;
    }
  } while (!atomic_compare_exchange_strong(word, &present, head));
  hw_rouse(&segment->worker_wake, &segment->worker_sleeping);
}

static uint32_t read_control(hw_segment_t *segment) {
  return hw_get(&segment->mode) | (hw_get(&segment->enable) ? HW_BIT(HW_CTRL_ENABLE_BIT) : 0u);
}

static uint32_t read_status(hw_segment_t *segment, const hd_counts_t *counts) {
  uint32_t status = HW_BIT(HW_STATUS_READY_BIT) | hw_get(&segment->status_errors);
  if (counts->halted) {
    status |= HW_BIT(HW_STATUS_HALTED_BIT);
  } else if (hw_get(&segment->enable)) {
    status |= HW_BIT(HW_STATUS_RUNNING_BIT);
  }
  return status;
}

// IRQ_STATUS as it was, and clear these bits of it.
static uint32_t read_events(hw_device_t *device, uint32_t clear) {
  hw_segment_t *segment = device->segment;
  if (hw_get(&segment->remote)) {
    hw_lock(device);
    hw_remote_events(device);
    hw_unlock(device);
  }
  return atomic_fetch_and(&segment->irq_status, ~clear);
}

static uint32_t read_register(hw_device_t *device, uint32_t offset) {
  hw_segment_t *segment = device->segment;
  hd_counts_t counts;
  hw_snapshot(segment, &counts);
  switch (offset) {
    case HW_REG_ID: return HW_DEVICE_ID;
    case HW_REG_VERSION: return HW_CONTRACT_VERSION;
    case HW_REG_CTRL: return read_control(segment);
    case HW_REG_STATUS: return read_status(segment, &counts);
    case HW_REG_CMD_HEAD: return counts.cmd_head;
    case HW_REG_CMD_TAIL: return hw_get(&segment->cmd_tail);
    case HW_REG_DONE_TAIL: return counts.done_tail;
    case HW_REG_DONE_HEAD: return hw_get(&segment->done_head);
    case HW_REG_REWARD_TAIL: return counts.reward_tail;
    case HW_REG_REWARD_HEAD: return hw_get(&segment->reward_head);
    case HW_REG_RING_LOG2: return hw_get(&segment->ring_log2);
    case HW_REG_CMD_BASE_LO: case HW_REG_CMD_BASE_HI:
    case HW_REG_DONE_BASE_LO: case HW_REG_DONE_BASE_HI:
    case HW_REG_REWARD_BASE_LO: case HW_REG_REWARD_BASE_HI:
      return hw_get(&segment->base[(offset - HW_REG_CMD_BASE_LO) / 4]);
    case HW_REG_IRQ_STATUS: return read_events(device, 0);
    case HW_REG_IRQ_MASK: return hw_get(&segment->irq_mask);
    case HW_REG_CNT_DESCRIPTORS: return counts.descriptors;
    case HW_REG_CNT_TOKENS_LO:
      hw_put(&segment->tokens_high, (uint32_t)(counts.tokens >> 32));
      return (uint32_t)counts.tokens;
    case HW_REG_CNT_TOKENS_HI: return hw_get(&segment->tokens_high);
    case HW_REG_CNT_ERRORS: return counts.errors;
    case HW_REG_CNT_STALL_CYCLES:
      return hw_get(&segment->remote) ? hw_remote_stalls(segment) : hw_get(&segment->stalls);
    case HW_REG_CNT_BAD_DOORBELLS: return hw_get(&segment->bad_doorbells);
    case HW_REG_CONTRACT_HASH: return segment->contract_hash;
    default: return 0;  // DOORBELL, which is write-only, and unknown addresses [DB-004]
  }
}

int64_t hd_read32(hw_device_t *device, uint32_t offset) {
  if (!hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  const uint32_t value = read_register(device, offset);
  hw_leave(&device->callers);
  return value;
}

static int write_register(hw_device_t *device, uint32_t offset, uint32_t value,
                          int64_t patience_ns) {
  hw_segment_t *segment = device->segment;
  switch (offset) {
    case HW_REG_CTRL: {
      const int failed = hw_close_gate(device, patience_ns);
      if (failed) {
        return failed;
      }
      control(device, value);
      hw_open_gate(device);
      return 0;
    }
    case HW_REG_STATUS:
      atomic_fetch_and(&segment->status_errors, ~(value & STATUS_ERRORS));
      return 0;
    case HW_REG_DOORBELL:
      hw_doorbell(device, value);
      return 0;
    case HW_REG_DONE_HEAD: case HW_REG_REWARD_HEAD:
      move_head(device, offset == HW_REG_REWARD_HEAD, value);
      return 0;
    case HW_REG_RING_LOG2:
    case HW_REG_CMD_BASE_LO: case HW_REG_CMD_BASE_HI:
    case HW_REG_DONE_BASE_LO: case HW_REG_DONE_BASE_HI:
    case HW_REG_REWARD_BASE_LO: case HW_REG_REWARD_BASE_HI:
      hw_lock(device);
      if (!hw_get(&segment->locked)) {  // [LIFE-006]
        if (offset == HW_REG_RING_LOG2) {
          hw_put(&segment->ring_log2, value & RING_LOG2_BITS);
        } else {
          hw_put(&segment->base[(offset - HW_REG_CMD_BASE_LO) / 4], value);
        }
      }
      hw_unlock(device);
      return 0;
    case HW_REG_IRQ_STATUS:
      read_events(device, value);
      return 0;
    case HW_REG_IRQ_MASK:
      hw_put(&segment->irq_mask, value & IRQ_BITS);
      return 0;
    default:
      return 0;  // read-only and unknown addresses [DB-004]
  }
}

int hd_write32(hw_device_t *device, uint32_t offset, uint32_t value, int64_t patience_ns) {
  if (!hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  const int failed = write_register(device, offset, value, patience_ns);
  hw_leave(&device->callers);
  return failed;
}
