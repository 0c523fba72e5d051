// SPDX-License-Identifier: Apache-2.0
//
// The C ABI by which `descring conform-engine` drives an engine that is a shared library. Valid C11
// and C++11; export all four functions with C linkage. docs/engine-contract.md states what an engine
// does, hw_engine_data.h has its constants and the record of a rollout.
#ifndef DESCRING_ENGINE_H
#define DESCRING_ENGINE_H

#include <stdint.h>

#define DESCRING_ENGINE_ABI 1u

#ifdef __cplusplus
extern "C" {
#endif

// Returns DESCRING_ENGINE_ABI, as the library was compiled with.
uint32_t descring_engine_abi(void);

// Make an engine for tokens 0 to vocabulary - 1; NULL if that is impossible.
void *descring_engine_open(uint32_t vocabulary);

// Advance `count` rollouts [REC-003]. `arena` is `bytes` long, at a multiple of 64; `records` are
// offsets in it, each given once; `ends` the tokens that each rollout shall have. Writes a status for
// each (HWE_STATUS_*). Returns 0; any other number is an error of the test. Nothing in the arena
// belongs to the engine between two calls.
int descring_engine_advance(void *engine, void *arena, uint64_t bytes, const uint64_t *records,
                            const uint32_t *ends, uint32_t *statuses, uint64_t count);

void descring_engine_close(void *engine);

#ifdef __cplusplus
}
#endif

#endif  // DESCRING_ENGINE_H
