// SPDX-License-Identifier: Apache-2.0
//
// The gate that makes the workers stand still while a host changes what they must not see
// half-done, and the lock of the registers.
#ifndef HW_GATE_H
#define HW_GATE_H

#include "segment.h"

// 0, or HD_CORRUPT if nobody gave it back in time.
int hw_lock(hw_device_t *device);
void hw_unlock(hw_device_t *device);
// Stop the workers at a batch's end: 0, to be paired with hw_open_gate; HD_BUSY if one did not get
// there in time, HD_CLOSED if the device is closed meanwhile, HD_CORRUPT as hw_lock.
int hw_close_gate(hw_device_t *device, int64_t patience_ns);
void hw_open_gate(hw_device_t *device);
// By a host that is the only one, and has no other thread inside yet: complete what a predecessor that
// was killed with lock or gate left half-done.
void hw_recover(hw_device_t *device);

#endif  // HW_GATE_H
