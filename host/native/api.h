// SPDX-License-Identifier: Apache-2.0
//
// What the native core offers to Python. Plain declarations only: cffi reads this very file, and
// the C sources include it, so that the two cannot drift apart.
//
// hd_* is the device (memory, registers, workers, peers), hq_* the host's queue on its rings.
// Times are nanoseconds of CLOCK_MONOTONIC. No function keeps a pointer to a caller's lines.

typedef struct hw_device hw_device_t;
typedef struct hw_queue hw_queue_t;

enum hd_role { HD_ROLE_WORKER = 0, HD_ROLE_HOST = 1 };
enum hd_peer { HD_PEER_NONE = 0, HD_PEER_ALIVE = 1, HD_PEER_DIED = 2, HD_PEER_ENDED = 3 };

typedef struct hd_counts {
  uint32_t cmd_head;
  uint32_t done_tail;
  uint32_t reward_tail;
  uint32_t descriptors;
  uint32_t errors;
  uint32_t halted;
  uint64_t tokens;
} hd_counts_t;

typedef struct hd_geometry {
  uint64_t cmd_base;     // bytes from the window's start to slot 0, as in the BASE registers
  uint64_t done_base;
  uint64_t reward_base;  // only looked at if split
  uint32_t ring_log2;    // as in REG RING_LOG2
  uint32_t split;
} hd_geometry_t;

typedef struct hd_peer_info {
  uint64_t pid;          // 0: there never was one
  uint64_t incarnation;  // how often the role has been taken
  uint64_t beat_age;     // since its last heartbeat
  int state;             // enum hd_peer
} hd_peer_info_t;

// A reading of two clocks: the worker's was `device` at a moment between the host's stamps.
typedef struct hd_read_clock {
  uint64_t before;
  uint64_t after;
  uint64_t device;
} hd_clock_reading_t;

// What calls return instead of a number that they have not got.
enum hd_failure {
  HD_REFUSED = -1,  // the device did not accept the doorbell
  HD_GONE = -2,     // the worker is gone
  HD_CLOSED = -3,   // the device or the queue is closed
  HD_BUSY = -4,     // a worker did not stand still in time
  HD_NO_MEMORY = -5,
  HD_CORRUPT = -6  // a word of the shared memory is out of range: hd_fault
};

// Identity, for checks at import.
uint32_t hd_contract_hash(void);
uint64_t hd_header_bytes(void);
uint64_t hd_magic(void);  // the first word of every segment

// Lay out a fresh, zeroed segment. The window starts at window_offset.
int hd_format(void *segment, uint64_t segment_bytes, uint64_t window_offset,
              uint64_t window_bytes, uint32_t first_index);
// NULL if a device can be opened on it, else the reason in words (static storage).
const char *hd_refusal(const void *segment, uint64_t segment_bytes);
uint32_t hd_segment_contract_hash(const void *segment);
uint64_t hd_window_offset(const void *segment);
uint64_t hd_window_bytes(const void *segment);

// NULL: no memory, or hd_refusal has a reason.
hw_device_t *hd_open(void *segment, uint64_t segment_bytes);
// Wake every call that is inside the device, wait for the last one, and end all that it has
// running; its queues are closed before. A call that comes later finds it closed and does not touch
// the segment. The handle lasts until hd_free, which nobody may call beside another call.
void hd_close(hw_device_t *device);
void hd_free(hw_device_t *device);

// The register's value, or HD_CLOSED, HD_CORRUPT.
int64_t hd_read32(hw_device_t *device, uint32_t offset);
// 0, HD_CLOSED, HD_CORRUPT, or HD_BUSY after patience_ns, with nothing written: CTRL waits for the
// workers.
int hd_write32(hw_device_t *device, uint32_t offset, uint32_t value, int64_t patience_ns);
// 0, or HD_CLOSED, HD_CORRUPT.
int hd_counts(hw_device_t *device, hd_counts_t *counts);

// 1 with the word of the shared memory that was found out of range since the last reset, what was
// expected and what was found, as text of at most `size` bytes; 0: none.
int hd_fault(hw_device_t *device, char *text, uint32_t size);

// 0, or HD_CORRUPT: a worker cannot carry on from the state found in the segment (hd_fault).
int hd_unrecoverable(hw_device_t *device);
int hd_start_workers(hw_device_t *device, uint32_t workers);
void hd_stop_workers(hw_device_t *device);

// Let a worker behind a bus serve this device (hw_link.h): the address of its link. `newest`: it
// wants the last line published beside the doorbell, and sends completions ahead of the ring.
// 0, or an errno. A host thread beats until hd_leave_remote.
int hd_serve_remote(hw_device_t *device, int newest, uint64_t patience_ns, uint64_t deadline_ns);
uint64_t hd_link(hw_device_t *device);
void hd_stop_remote(hw_device_t *device);
void hd_leave_remote(hw_device_t *device);
// Events of such a worker from now on, into rings of the caller's at this address (HW_CONFIG_TRACE in
// hw_link.h), with their heads set, which stay while a worker may run; 0: no longer, and what was
// written is there. 0, or HD_CLOSED, HD_CORRUPT, HD_BUSY.
int hd_trace_remote(hw_device_t *device, uint64_t rings, int64_t patience_ns);
// Read the host's stamps and the worker's clock. 0, or HD_CLOSED, or HD_BUSY: it did not reply. One
// thread at a time.
int hd_read_clock(hw_device_t *device, int64_t patience_ns, hd_clock_reading_t *reading);
// Why the worker has ended (HW_ENDED_*; 0: it has not) or HD_CLOSED, and to note that it was lost.
int hd_remote_ended(hw_device_t *device);
void hd_lose_remote(hw_device_t *device);

// Take a role on a shared segment and watch the other one. 0, or an errno; EBUSY: it is taken.
int hd_join(hw_device_t *device, int lock_file, int role);
void hd_leave(hw_device_t *device);
// 0, or HD_CLOSED.
int hd_peer(hw_device_t *device, hd_peer_info_t *info);
// Whether a role is held on a shared segment's file: 1, 0, or minus an errno.
int hd_role_held(int lock_file, int role);

// 1 as soon as a completion can be taken or the device halted; 0 at the end of timeout_ns or when
// the worker is gone; HD_CLOSED as soon as the device is closed; HD_CORRUPT.
int hd_wait(hw_device_t *device, int64_t timeout_ns);

// Events of worker thread `worker` from now on, into a ring of the caller's with its head set, which
// stays until the device is closed; NULL: no longer. 0, or an errno: no such thread in this process.
int hd_trace(hw_device_t *device, uint32_t worker, void *ring);

int hd_bind_numa(void *address, uint64_t bytes, int node);
void hd_seal(void *lines, uint64_t count, uint32_t first_index);
// For each line, submitted at consecutive indices to two completion rings, the one that its
// completion goes to: 0 done, 1 reward [RING-008].
void hd_routes(const void *lines, uint64_t count, uint32_t first_index, int require_checked,
               uint8_t *to_reward);

// One thread may submit while another takes; others may ask for room and for what is ready.
// NULL with *failure as of hd_write32, or HD_NO_MEMORY.
hw_queue_t *hq_open(hw_device_t *device, const hd_geometry_t *geometry, int64_t patience_ns,
                    int *failure);
// As hd_close and hd_free. The device's handle outlasts the queue's.
void hq_close(hw_queue_t *queue);
void hq_free(hw_queue_t *queue);
// The ring index of the next line; that of the next completion to be taken; and how many of the
// lines before the first have no completion before the second. They last as long as the handle.
uint32_t hq_next_index(hw_queue_t *queue);
uint32_t hq_head(hw_queue_t *queue, int reward);
uint32_t hq_in_flight(hw_queue_t *queue);
// Free slots, or HD_CLOSED, HD_CORRUPT.
int64_t hq_room(hw_queue_t *queue);
// How many lines were taken in, or HD_REFUSED, HD_GONE, HD_CLOSED, HD_CORRUPT.
int64_t hq_submit(hw_queue_t *queue, const void *lines, uint32_t count);
// Likewise, but all or none: 0 where there is not room for all.
int64_t hq_submit_all(hw_queue_t *queue, const void *lines, uint32_t count);
// What every DECODE line of this queue carries.
void hq_decode_fields(hw_queue_t *queue, uint32_t kv_arena_id, uint32_t group, int checked);
// One DECODE line [DESC-024]: 1, 0 if the ring is full, else as hq_submit.
int hq_submit_decode(hw_queue_t *queue, uint32_t rollout_id, uint64_t kv_offset,
                     uint64_t delta_offset, uint32_t prefix_id, uint32_t seq_len,
                     uint32_t max_tokens, uint64_t user_data);
// Take up to max completions of the done (0) or reward (1) ring, waiting at most timeout_ns for
// the first; or HD_CLOSED, HD_CORRUPT.
int64_t hq_poll(hw_queue_t *queue, int reward, void *lines, uint32_t max, int64_t timeout_ns);
// Completions that can be taken now, or HD_CLOSED, HD_CORRUPT; hq_wait, of the taking thread, waits at most
// timeout_ns for the first.
int64_t hq_ready(hw_queue_t *queue, int reward);
int64_t hq_wait(hw_queue_t *queue, int reward, int64_t timeout_ns);
