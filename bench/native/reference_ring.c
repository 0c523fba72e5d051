// SPDX-License-Identifier: Apache-2.0
#include "reference_ring.h"

hw_u32 reference_load(volatile hw_u32 *index) { return __atomic_load_n(index, __ATOMIC_ACQUIRE); }

void reference_store(volatile hw_u32 *index, hw_u32 value) {
  __atomic_store_n(index, value, __ATOMIC_RELEASE);
}
