// SPDX-License-Identifier: Apache-2.0
//
// What a segment says of itself, and where its pages lie.
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment.h"

uint32_t hd_contract_hash(void) { return HW_CONTRACT_HASH; }
uint64_t hd_magic(void) { return HW_SEGMENT_MAGIC; }
uint64_t hd_header_bytes(void) { return sizeof(hw_segment_t); }
uint32_t hd_segment_contract_hash(const void *segment) {
  return ((const hw_segment_t *)segment)->contract_hash;
}
uint64_t hd_window_offset(const void *segment) {
  return ((const hw_segment_t *)segment)->window_offset;
}
uint64_t hd_window_bytes(const void *segment) {
  return ((const hw_segment_t *)segment)->window_bytes;
}

const char *hd_refusal(const void *memory, uint64_t segment_bytes) {
  const hw_segment_t *segment = memory;
  if (segment_bytes < sizeof *segment ||
      __atomic_load_n(&segment->magic, __ATOMIC_ACQUIRE) != HW_SEGMENT_MAGIC) {
    return "it is no descring segment, or its creator has not finished it";
  }
  if (segment->layout != HW_SEGMENT_LAYOUT) {
    return "it was made by another version of descring (the layout differs)";
  }
  if (segment->contract_hash != HW_CONTRACT_HASH) {
    return "the contract hash differs";
  }
  if (segment->segment_bytes != segment_bytes || segment->window_offset > segment_bytes ||
      segment->window_offset % HW_CACHE_LINE_BYTES != 0 || segment->window_offset < sizeof *segment ||
      segment->window_bytes > segment_bytes - segment->window_offset) {
    return "its size is not the one it was made with";
  }
  return NULL;
}

static int fits(const hw_device_t *device, uint64_t base, uint32_t log2, uint64_t before) {
  return base % HW_DESC_BYTES == 0 && base >= before && base <= device->window_bytes &&
         ((uint64_t)HW_DESC_BYTES << log2) <= device->window_bytes - base;
}

int hw_misfit(const hw_device_t *device, const hd_geometry_t *rings, uint64_t before) {
  const uint64_t base[] = {rings->cmd_base, rings->done_base, rings->reward_base};
  static const int lsb[] = {HW_RING_LOG2_CMD_LSB, HW_RING_LOG2_DONE_LSB, HW_RING_LOG2_REWARD_LSB};
  for (int ring = 0; ring < (rings->split ? 3 : 2); ++ring) {
    const uint32_t log2 = rings->ring_log2 >> lsb[ring] & 0xFFu;
    if (log2 < HW_RING_LOG2_MIN || log2 > HW_RING_LOG2_MAX) {
      return HW_FAULT_RING_LOG2;
    }
    if (!fits(device, base[ring], log2, before)) {
      return HW_FAULT_CMD_BASE + ring;
    }
  }
  return HW_FAULT_NONE;
}

int hw_check_rings(hw_device_t *device, const hd_geometry_t *rings, uint64_t before) {
  const int word = hw_misfit(device, rings, before);
  if (!word) {
    return 0;
  }
  if (word == HW_FAULT_RING_LOG2) {
    return hw_fail(device, HW_FAULT_RING_LOG2, rings->ring_log2,
                   HW_RING_LOG2_MIN * 0x010101u, HW_RING_LOG2_MAX * 0x010101u);
  }
  const uint64_t base[] = {rings->cmd_base, rings->done_base, rings->reward_base};
  return hw_fail(device, (enum hw_fault)word, (uint32_t)base[word - HW_FAULT_CMD_BASE],
                 (uint32_t)before, (uint32_t)device->window_bytes);
}

int hw_fail(hw_device_t *device, enum hw_fault word, uint32_t found, uint32_t low, uint32_t high) {
  if (!atomic_exchange(&device->fault_taken, 1)) {
    hw_put(&device->fault_found, found);
    hw_put(&device->fault_low, low);
    hw_put(&device->fault_high, high);
    hw_put(&device->segment->peer[device->role].fault, word);
    hw_put(&device->fault, word);
    atomic_fetch_add(&device->segment->host_wake, 1);
    hw_futex_wake(&device->segment->host_wake);
  }
  return HD_CORRUPT;
}

void hw_clear_fault(hw_device_t *device) {
  hw_put(&device->segment->peer[device->role].fault, HW_FAULT_NONE);
  hw_put(&device->fault, HW_FAULT_NONE);
  hw_put(&device->fault_taken, 0);
}

int hd_fault(hw_device_t *device, char *text, uint32_t size) {
  static const char *const names[HW_FAULTS] = {
      "none", "CMD_TAIL", "CMD_HEAD", "DONE_TAIL", "DONE_HEAD", "REWARD_TAIL", "REWARD_HEAD",
      "RING_LOG2", "CMD_BASE", "DONE_BASE", "REWARD_BASE", "the number of the record in force",
      "the record of progress", "the report of the remote worker", "the lock of the registers"};
  const uint32_t own = hw_get(&device->fault);
  if (own && own < HW_FAULTS) {
    snprintf(text, size, "%s: expected %" PRIu32 " to %" PRIu32 " (modulo 2^32), got %" PRIu32,
             names[own], hw_get(&device->fault_low), hw_get(&device->fault_high),
             hw_get(&device->fault_found));
    return 1;
  }
  const uint32_t theirs = device->lock_file >= 0 ? hw_get(&device->segment->peer[!device->role].fault) : 0;
  if (theirs) {
    snprintf(text, size, "%s, as the %s process found", theirs < HW_FAULTS ? names[theirs] : "an unnamed word",
             device->role == HD_ROLE_HOST ? "worker" : "host");
    return 1;
  }
  return 0;
}

int hd_bind_numa(void *address, uint64_t bytes, int node) {
  unsigned long nodes[16] = {0};
  const unsigned long bits = sizeof nodes * 8;
  if (node < 0 || (unsigned long)node >= bits) {
    return EINVAL;
  }
  nodes[(unsigned long)node / (8 * sizeof(long))] |= 1ul << ((unsigned long)node % (8 * sizeof(long)));
  return syscall(SYS_mbind, address, bytes, MPOL_BIND, nodes, bits, MPOL_MF_MOVE) ? errno : 0;
}
