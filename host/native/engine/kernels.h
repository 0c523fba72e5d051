// SPDX-License-Identifier: Apache-2.0
//
// Kernels of the native engine beside those of the header.
#ifndef HE_KERNELS_H
#define HE_KERNELS_H

#include "hw_engine.h"

// NULL: not on this processor.
const hwe_kernels_t *he_avx2(void);

#endif  // HE_KERNELS_H
