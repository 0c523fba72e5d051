// SPDX-License-Identifier: Apache-2.0
//
// The worker step with the CRC-32C of the CPU's own instruction where it has one, decided once at
// load time.
#ifndef HW_FAST_CRC_H
#define HW_FAST_CRC_H

#include "hw_desc.h"

hw_u32 hw_crc32c_fast(const hw_desc_t *line);

#define HW_CRC32C_LINE(line) hw_crc32c_fast(line)

#include "hw_worker.h"

#endif  // HW_FAST_CRC_H
