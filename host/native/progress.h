// SPDX-License-Identifier: Apache-2.0
//
// The device's progress: the record in force, its reset state, and the words in memory that say the
// same.
#ifndef HW_PROGRESS_H
#define HW_PROGRESS_H

#include "segment.h"

// The record in force, whole; the worker may be committing meanwhile. Field loads are acquire and
// the worker's stores release, so a field from a later record shows in `committed`.
// 0, or -1 if it did not hold still in time: then something else writes it.
int hw_snapshot(hw_device_t *device, hd_counts_t *counts);
// The same, with what is out of range recorded: 0, or HD_CORRUPT.
int hw_read_progress(hw_device_t *device, hd_counts_t *counts);
// Put a new record in force. Only the side that owns the device at that moment may.
void hw_commit(hw_device_t *device, const hd_counts_t *counts);
// Write the head and tail words in memory from the record, where the rings have them. 0, or HD_CORRUPT.
int hw_publish(hw_device_t *device, const hd_counts_t *counts);
// The reset state [LIFE-001].
void hw_reset(hw_device_t *device);

#endif  // HW_PROGRESS_H
