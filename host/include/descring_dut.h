// SPDX-License-Identifier: Apache-2.0
//
// Generated from pymodel/descring_model/contract.py; do not edit, run `make gen`.
//
// The C ABI by which `descring conform` drives an implementation that is a shared library. Valid
// C11 and C++11. Export either or both of the two levels, with C linkage:
//
//   stream level: descring_dut_abi, descring_dut_run
//   device level: descring_dut_abi, descring_dut_open ... descring_dut_close
//
// A line is the 64 bytes of hw_desc_t (hw_desc.h), little-endian, 64-byte aligned. The library runs
// in a process of its own: a crash or a hang is a result and ends one test.
#ifndef DESCRING_DUT_H
#define DESCRING_DUT_H

#include <stddef.h>
#include <stdint.h>

#define DESCRING_DUT_ABI 1u

// The version of the contract that the implementation obeys: the present one unless it is defined
// before. For a file with capabilities.contract_version the kit's DESCRING_INCLUDE defines it.
#ifndef DESCRING_CONTRACT_VERSION
#define DESCRING_CONTRACT_VERSION 2u
#endif
#if DESCRING_CONTRACT_VERSION == 2
#define DESCRING_CONTRACT_HASH 0x5F29EA0Cu
#elif DESCRING_CONTRACT_VERSION == 1
#define DESCRING_CONTRACT_HASH 0x95E8373Eu
#else
#error "DESCRING_CONTRACT_VERSION: no such version"
#endif
#define DESCRING_LINE_BYTES 64u

// Bits of descring_stream_t.flags.
#define DESCRING_REQUIRE_CHECKED 1u
#define DESCRING_SPLIT_REWARD 2u
#define DESCRING_HALT 4u

#ifdef __cplusplus
extern "C" {
#endif

// How a stream is to be executed. Line i has ring index first_index + i mod 2^32, and so has the
// first completion of each ring [RING-012]. A STOP completes and is resumed at once, unless
// DESCRING_HALT, which ends the result with its STOPPED [LIFE-003].
typedef struct descring_stream {
  uint32_t size;         // sizeof(descring_stream_t); later versions append members
  uint32_t flags;        // DESCRING_REQUIRE_CHECKED | DESCRING_SPLIT_REWARD | DESCRING_HALT
  uint32_t first_index;
  uint32_t workers;      // 0: as the implementation likes
  uint32_t ring_slots;   // 0: as the implementation likes
  uint32_t reserved;     // 0
  uint64_t seed;         // of whatever is random in the implementation
} descring_stream_t;

// Returns DESCRING_DUT_ABI, as the library was compiled with.
uint32_t descring_dut_abi(void);

// Execute `count` lines. `done` and `reward` have room for `count` lines each; on return
// *done_count and *reward_count are the numbers written. Without DESCRING_SPLIT_REWARD all lines go
// to `done`. Returns 0, or any other number if there is no result, which is an error of the test.
int descring_dut_run(const descring_stream_t *stream, const void *lines, size_t count, void *done,
                     size_t *done_count, void *reward, size_t *reward_count);

// A device after reset. Its rings lie in `memory`, `bytes` long: BASE registers hold byte offsets
// into it, and it is the whole memory window [LIFE-002]. Returns NULL if it cannot be made.
void *descring_dut_open(void *memory, uint64_t bytes, uint32_t first_index);

// Register access at a byte address (section 7).
uint32_t descring_dut_read32(void *device, uint32_t offset);
void descring_dut_write32(void *device, uint32_t offset, uint32_t value);

// Let the device make progress, for at most this long.
void descring_dut_wait(void *device, uint64_t nanoseconds);

// The level of the interrupt, 0 or 1 [IRQ-001]. Only for the capability `interrupt`.
int descring_dut_irq(void *device);

// The device is not used after this; `memory` must not be touched any more when it returns.
void descring_dut_close(void *device);

#ifdef __cplusplus
}
#endif

#endif  // DESCRING_DUT_H
