// SPDX-License-Identifier: Apache-2.0
//
// C interface of the batch library: the device with its rings on chip, compiled by Verilator.
// Python reads this file; it holds nothing but declarations.
//
// One device is one object and belongs to one thread at a time. Nothing is copied: lines are read
// from the caller's memory and completions are written into it, 64 bytes a line, and both must
// outlive the replay.

typedef struct dv_core dv_core_t;

// How a stream is replayed.
typedef struct {
  uint32_t first_index;      // the value of every index after reset
  uint32_t require_checked;  // the modes of the device
  uint32_t split_reward;
  uint32_t halt;             // end at the first STOP instead of resuming after it
  uint64_t seed;             // of everything drawn here: doorbell batches and pauses
  uint32_t doorbell_batch;   // lines a doorbell waits for; 0 draws each batch again
  uint32_t pause_in;         // of 256 cycles, those in which no line is presented
  uint32_t pause_out;        // of 256 cycles, those in which no completion is taken
  uint64_t hang_cycles;      // cycles without a completion after which the device is hung
  const void *lines;         // count lines, 64 bytes each
  uint64_t count;
  void *done;                // room for count completions
  void *reward;              // likewise; NULL without split_reward
} dv_job_t;

// Where a replay stands.
typedef struct {
  uint64_t cycles;     // rising edges since the replay began, reset included, up to a failure
  uint64_t written;    // lines that the device has taken
  uint64_t published;  // lines covered by a doorbell
  uint64_t done;       // completions taken from each ring
  uint64_t reward;
  uint32_t halted;     // ended at a STOP
} dv_state_t;

// A device whose random initial state is drawn from seed; NULL where the RTL refuses its parameters
// or memory is short, with the reason in error.
dv_core_t *dv_open(uint64_t seed, char *error, uint64_t error_bytes);
void dv_close(dv_core_t *core);

// Record waves of the cycles [from, to) of the replay that is started next; needs a library built
// with waves. 0, or -1 with dv_error.
int dv_waves(dv_core_t *core, const char *path, uint64_t from, uint64_t to);

// Reset the device and begin a replay. 0, or -1 with dv_error.
int dv_start(dv_core_t *core, const dv_job_t *job);

// Continue for at most so many cycles: 0 when the replay has ended and the registers agree, 1 when
// there is more to do, -1 with dv_error when it failed. A failed device must be closed.
int dv_run(dv_core_t *core, uint64_t cycles);

void dv_state(const dv_core_t *core, dv_state_t *state);

// What went wrong last, one line of text.
const char *dv_error(const dv_core_t *core);

// Size of a ring of this build, of a worker pool, the contract's hash, and whether it has waves and
// assertions.
uint32_t dv_ring_depth(void);
uint32_t dv_workers(void);
uint32_t dv_contract_hash(void);
uint32_t dv_features(void);
