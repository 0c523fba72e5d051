// SPDX-License-Identifier: Apache-2.0
//
// What every harness needs around a model that Verilator wrote: time, waves of a window of cycles,
// and failures of the RTL as C++ exceptions.
//
// The runtime of Verilator calls vl_fatal, vl_stop and vl_finish where a simulation must not continue.
// Its own versions end the process; the ones in model.cpp throw Fault, and what $fatal printed is
// its text. A model that threw is broken and is never evaluated again.
#pragma once

#include <verilated.h>

#include "descring_printf.h"
#if DV_WAVES
#include <verilated_fst_c.h>
#endif

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "Vdut.h"
#include "Vdut___024root.h"

// Written by Verilator beside Vdut::eval, which adds locks and queues for models with threads.
void Vdut___024root___eval(Vdut___024root *root);

namespace descring {

struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// splitmix64: a draw costs less than a nanosecond, and any seed is a good one.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // True in share of 256 draws.
  bool chance(uint32_t share) { return share != 0 && (next() & 255) < share; }
  uint64_t below(uint64_t bound) { return next() % bound; }

 private:
  uint64_t state_;
};

// A model with its clock. Inputs are set between two edges; outputs are those after the last one.
class Model {
 public:
  explicit Model(uint64_t seed);
  ~Model();

  Vdut *operator->() { return top_.get(); }
  const Vdut *operator->() const { return top_.get(); }

  uint64_t cycles() const { return cycles_; }
  void restart_cycles() { cycles_ = 0; }

  // Waves of the cycles [from, to) go to path.
  void record(const std::string &path, uint64_t from, uint64_t to);
  // Waves of the last cycles, at least last and at most twice as many, stay in path and path.older.
  void record_last(const std::string &path, uint64_t last);
  void stop_recording();

  // Let outputs follow inputs that changed since the last edge.
  void settle() { evaluate(); }

  // One rising edge of the clock. Where outputs depend on inputs of the same cycle, call settle()
  // first. The falling edge, on which no register samples, is only evaluated for the waves; otherwise
  // the model is told that it occurred.
  void edge() {
#if DV_WAVES
    next_segment();
    if (recording()) {
      top_->clk_i = 0;
      evaluate();
      trace_->dump(kPeriod * cycles_ + kPeriod / 2);
    }
#endif
    top_->rootp->__Vtrigprevexpr___TOP__clk_i__0 = 0;
    top_->clk_i = 1;
    context_->timeInc(kPeriod);
    evaluate();
#if DV_WAVES
    if (recording()) trace_->dump(kPeriod * (cycles_ + 1));
#endif
    ++cycles_;
  }

 private:
  void evaluate() {
#if DV_WAVES
    top_->eval();  // which also notes what has changed, for the waves
#else
    Vdut___024root___eval(top_->rootp);
#endif
  }

  static constexpr uint64_t kPeriod = 10'000;  // ps

  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Vdut> top_;
  uint64_t cycles_ = 0;
#if DV_WAVES
  void open(const std::string &path);
  void next_segment();
  bool recording() { return trace_ && cycles_ >= from_ && cycles_ < to_; }
  std::unique_ptr<VerilatedFstC> trace_;
  std::string path_;
  uint64_t from_ = 0, to_ = 0, segment_ = 0;
#endif
};

// Carry out f; a failure becomes the device's error text and -1. What has failed stays failed.
template <class Device, class F>
int guarded(Device *device, F f) {
  if (device->broken) return -1;
  try {
    return f();
  } catch (const Fault &fault) {
    device->error = fault.what() + ("; " + device->where());
  }
  device->fail();
  try {
    device->error += ";" + device->registers();
  } catch (const Fault &) {
    // The model is beyond reading: an assertion of the RTL ended it.
  }
  return -1;
}

}  // namespace descring
