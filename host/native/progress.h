// SPDX-License-Identifier: Apache-2.0
//
// The device's progress: the record in force, its reset state, and the words in memory that say the
// same.
#ifndef HW_PROGRESS_H
#define HW_PROGRESS_H

#include "segment.h"

// The record in force, whole; the worker may be committing meanwhile. Field loads are acquire and
// the worker's stores release, so a field from a later record shows in `committed`.
void hw_snapshot(hw_segment_t *segment, hd_counts_t *counts);
// Put a new record in force. Only the side that owns the device at that moment may.
void hw_commit(hw_segment_t *segment, const hd_counts_t *counts);
// Write the head and tail words in memory from the record, where the rings have them.
void hw_publish(hw_device_t *device, const hd_counts_t *counts);
// The reset state [LIFE-001].
void hw_reset(hw_segment_t *segment);

#endif  // HW_PROGRESS_H
