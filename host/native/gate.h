// SPDX-License-Identifier: Apache-2.0
//
// The gate that makes the workers stand still while a host changes what they must not see
// half-done, and the lock of the registers.
#ifndef HW_GATE_H
#define HW_GATE_H

#include "segment.h"

void hw_lock(hw_device_t *device);
void hw_unlock(hw_device_t *device);
// Stop the workers at a batch's end; 0, or -1 if one did not come. To be paired with hw_open_gate.
int hw_close_gate(hw_device_t *device);
void hw_open_gate(hw_device_t *device);

#endif  // HW_GATE_H
