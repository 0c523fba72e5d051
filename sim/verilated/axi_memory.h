// SPDX-License-Identifier: Apache-2.0
//
// The memory behind an AXI4 manager of 512 bits: serves its bursts from the host's own memory, in
// order, after a latency and with pauses that are drawn from a seed; checks what it is asked for.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "hw_trace.h"
#include "model.h"

// The library hides all names but these.
#pragma GCC visibility push(default)
extern "C" {
#include "axi_api.h"
}
#pragma GCC visibility pop

namespace descring {

class AxiMemory {
 public:
  AxiMemory(uint8_t *memory, uint64_t bytes, const dx_bus_t &bus)
      : memory_(memory), bytes_(bytes), bus_(bus), random_(bus.seed) {}

  // Drive the inputs of the manager for the coming edge.
  void drive(Vdut &top);
  // Take what the edge transfers; the outputs have settled on the inputs.
  void sample(const Vdut &top);

  void inject_error(uint64_t start, uint64_t stop) { failing_.emplace_back(start, stop); }
  void clear_errors() { failing_.clear(); }
  // `cycle` is the coming edge's number.
  void trace(hw_trace_ring_t *ring, uint64_t cycle) {
    ring_ = ring;
    ahead_ = cycle - now_;
  }
  bool take_traffic() { return std::exchange(traffic_, false); }
  bool busy() const {
    return !reads_.empty() || !writes_.empty() || !beats_.empty() || !responses_.empty();
  }

  uint64_t lines_read = 0, lines_written = 0, bursts = 0, errors = 0;

 private:
  static constexpr uint32_t kBeat = 64;
  static constexpr uint32_t kOkay = 0, kSlaveError = 2, kDecodeError = 3;
  static constexpr size_t kQueued = 32;  // bursts taken ahead, of each direction
  static constexpr size_t kEarly = 16;   // beats of write data taken ahead of their address

  struct Burst {
    uint64_t address;
    uint32_t id, beats, done, size, response;
    uint64_t due;
  };
  // A beat of write data; it may precede its address.
  struct Beat {
    uint8_t data[kBeat];
    uint64_t strobes;
    bool last;
  };
  struct Response {
    uint32_t id, response;
    uint64_t due;
  };
  // A channel's payload must be stable while it is valid and not ready.
  struct Held {
    bool stalled = false;
    std::vector<uint64_t> payload;
  };

  Burst burst(const char *channel, uint64_t address, uint32_t id, uint32_t length, uint32_t size,
              uint32_t kind);
  uint64_t due() {
    const uint64_t span = bus_.latency_max - bus_.latency_min + 1;
    return now_ + bus_.latency_min + random_.below(span);
  }
  uint32_t response(uint64_t address, uint64_t bytes) const;
  void note(uint32_t event, const void *bytes) const;
  void write_beats();
  void write_beat(Burst &burst, const Beat &beat);
  void hold(Held &held, const char *channel, bool valid, bool ready,
            std::initializer_list<uint64_t> payload);
  [[noreturn]] static void violation(const std::string &what) {
    throw Fault("AXI protocol: " + what);
  }

  uint8_t *memory_;
  uint64_t bytes_;
  dx_bus_t bus_;
  Random random_;
  std::vector<std::pair<uint64_t, uint64_t>> failing_;
  std::deque<Burst> reads_, writes_;
  std::deque<Beat> beats_;
  std::deque<Response> responses_;
  Held held_aw_, held_w_, held_ar_;
  bool read_offered_ = false, response_offered_ = false;
  bool traffic_ = false;
  uint64_t now_ = 0;
  hw_trace_ring_t *ring_ = nullptr;
  uint64_t ahead_ = 0;
};

}  // namespace descring
