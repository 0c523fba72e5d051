// SPDX-License-Identifier: Apache-2.0
//
// What a segment says of itself, and where its pages lie.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment.h"

uint32_t hd_contract_hash(void) { return HW_CONTRACT_HASH; }
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
uint32_t hd_first_index(const void *segment) {
  return ((const hw_segment_t *)segment)->first_index;
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
      segment->window_bytes > segment_bytes - segment->window_offset) {
    return "its size is not the one it was made with";
  }
  return NULL;
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
