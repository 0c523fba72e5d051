// SPDX-License-Identifier: Apache-2.0
//
// What the queue needs of the registers without going through their addresses.
#ifndef HW_REGISTERS_H
#define HW_REGISTERS_H

#include "segment.h"

// Ring the doorbell: 1 if the tail was accepted [DB-002] [DB-006].
int hw_doorbell(hw_device_t *device, uint32_t tail);

#endif  // HW_REGISTERS_H
