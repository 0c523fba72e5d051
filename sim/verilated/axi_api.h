// SPDX-License-Identifier: Apache-2.0
//
// C interface of the device with its rings in memory, compiled by Verilator. Python reads this
// file; it holds nothing but declarations.
//
// Time passes inside these calls alone. The device reads and writes the caller's memory in place; a
// host thread may examine it meanwhile, since a line is published after it was written. One device
// belongs to one thread at a time.

typedef struct dx_device dx_device_t;

// How memory and register bus behave; all of it is drawn from seed.
typedef struct {
  uint64_t seed;
  uint32_t latency_min;  // cycles from a burst's address to its first beat or its response
  uint32_t latency_max;
  uint32_t pause;        // of 256 cycles, those in which a channel holds back, each on its own
  uint32_t stuck_cycles; // cycles after which a register access counts as hung
} dx_bus_t;

typedef struct {
  uint64_t cycles;        // rising edges since the device was opened
  uint64_t lines_read;    // lines of 64 bytes, over the bus
  uint64_t lines_written;
  uint64_t bursts;        // read and write bursts
  uint64_t errors;        // error responses given
  uint32_t irq;           // level of the interrupt
} dx_state_t;

// A device out of reset over bytes of memory at address 0; NULL, with the reason in error, where
// the RTL refuses its parameters or memory is short.
dx_device_t *dx_open(void *memory, uint64_t bytes, uint32_t first_index, const dx_bus_t *bus,
                     char *error, uint64_t error_bytes);
void dx_close(dx_device_t *device);

// Carry out a register access over AXI4-Lite. 0, or -1 with dx_error; a device that failed must be
// closed.
int dx_read32(dx_device_t *device, uint32_t address, uint32_t *value);
int dx_write32(dx_device_t *device, uint32_t address, uint32_t value);

// Let time pass until the bus to memory was silent for so many cycles in a row, at most `most` in
// all. 0 if there was no traffic at all, 1 if there was, 2 if there still is, -1 with dx_error.
int dx_run(dx_device_t *device, uint64_t silent, uint64_t most);

// Let exactly so many cycles pass. 0, or -1 with dx_error.
int dx_step(dx_device_t *device, uint64_t cycles);

// Inject an error response to every access that touches the bytes [start, stop); clear all of them.
int dx_inject_bus_error(dx_device_t *device, uint64_t start, uint64_t stop);
void dx_clear_bus_errors(dx_device_t *device);

// Record waves; needs a library built with waves. All cycles from now on go to path, or, where
// last is not 0, the last cycles only: at least last and at most twice as many, in path and
// path.older. An empty path ends the recording. 0, or -1 with dx_error.
int dx_waves(dx_device_t *device, const char *path, uint64_t last);

// Trace events of every line that crosses the bus from now on, with the cycle of its beat, into a ring
// of the caller's with its head set (host/include/hw_trace.h); NULL: no longer.
void dx_trace(dx_device_t *device, void *ring);

void dx_state(const dx_device_t *device, dx_state_t *state);

// What went wrong last, one line of text.
const char *dx_error(const dx_device_t *device);

uint32_t dx_contract_hash(void);
