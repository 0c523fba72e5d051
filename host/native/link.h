// SPDX-License-Identifier: Apache-2.0
//
// The host's side of the link to a worker behind a bus (hw_link.h): what it is told beside the
// doorbell, and what it reports.
#ifndef HW_LINK_HOST_H
#define HW_LINK_HOST_H

#include "segment.h"

// Whether this CPU stores 16 aligned bytes whole, as AVX guarantees. Where it does not, a worker is
// not told the newest line, and fetches it from the ring.
int hw_link_stores_chunks_whole(void);
// 0, or -1 if no whole report was seen in time.
int hw_remote_snapshot(hw_segment_t *segment, hd_counts_t *counts);
void hw_remote_commit(hw_segment_t *segment, const hd_counts_t *counts);
void hw_remote_reset(hw_device_t *device, uint32_t first_index);
void hw_remote_configure(hw_device_t *device);
void hw_remote_ring(hw_device_t *device, uint32_t tail);
// Raise what happened since it was last called; under the lock.
void hw_remote_events(hw_device_t *device);
uint32_t hw_remote_stalls(hw_segment_t *segment);
// Read both clocks: 0, or HD_BUSY if the worker did not tell its own in time.
int hw_remote_read_clock(hw_device_t *device, int64_t patience_ns, hd_clock_reading_t *reading);
// Take the completion of this index if it is the newest; 1 if it was.
int hw_remote_reply(hw_segment_t *segment, uint32_t index, void *line);

#endif  // HW_LINK_HOST_H
