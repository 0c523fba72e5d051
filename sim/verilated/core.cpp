// SPDX-License-Identifier: Apache-2.0
//
// The host of a replay: a stream of lines through rl_runtime_mmio, as fast as it will go.
//
// Each cycle offers the next line, takes the completions that are there, and publishes lines as
// soon as there is room for a batch, also before they are written [RING-011]. At the end the device
// must be at rest, with registers that agree with what was counted here.
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <string>

#include "hw_desc.h"
#include "model.h"

// The library hides all names but these.
#pragma GCC visibility push(default)
extern "C" {
#include "core_api.h"
}
#pragma GCC visibility pop

using descring::Fault;
using descring::guarded;
using descring::Model;
using descring::Random;

namespace {

constexpr uint32_t kResetCycles = 2;
constexpr uint32_t kRestCycles = 128;  // a device at rest stays at rest for so long
constexpr uint32_t kHaltReads = 16;    // reads of STATUS within which HALTED follows STOPPED
constexpr uint32_t kErrorBits = 1u << HW_STATUS_BAD_CONFIG_BIT |
                                1u << HW_STATUS_BAD_DOORBELL_BIT | 1u << HW_STATUS_BUS_ERROR_BIT;
constexpr uint32_t kFlagsOffset = offsetof(hw_desc_t, flags);

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%08" PRIx64, value);
  return text;
}

}  // namespace

struct dv_core {
  explicit dv_core(uint64_t seed) : model(seed), random(seed) {}

  void waves(const char *path, uint64_t from, uint64_t to) { model.record(path, from, to); }
  void start(const dv_job_t &wanted);
  bool run(uint64_t cycles);
  uint32_t read(uint32_t address);
  std::string where() const;
  std::string registers();
  void fail() {
    broken = true;
    active = false;
    fault_cycle = model.cycles();
  }

  Model model;
  Random random;
  dv_job_t job{};
  dv_state_t state{};
  std::string error;
  bool active = false;  // a replay has begun and not ended
  bool broken = false;  // a replay failed, perhaps the model itself
  uint64_t fault_cycle = 0;

 private:
  void cycle();
  void take(const void *line, void *target, uint64_t &count);
  void write(uint32_t address, uint32_t value);
  void ring_doorbell();
  void expect(const char *name, uint32_t address, uint64_t expected);
  void wait_until_halted();
  void rest();
  uint64_t taken() const { return state.done + state.reward; }
  const char *line(uint64_t number) const {
    return static_cast<const char *>(job.lines) + HW_DESC_BYTES * number;
  }

  uint64_t batch_ = 1;      // lines that the next doorbell waits for
  uint64_t idle_ = 0;       // cycles since the last completion
  bool offered_ = false;    // line number state.written is pending
  bool stopped_ = false;    // a STOPPED that has not been handled
  bool reporting_ = false;  // a failure is being described: no further one is raised
};

void dv_core::start(const dv_job_t &wanted) {
  job = wanted;
  state = {};
  random = Random(job.seed);
  batch_ = 1;
  idle_ = 0;
  offered_ = stopped_ = false;
  model.restart_cycles();
  model->first_index_i = job.first_index;
  model->reg_valid_i = model->line_valid_i = 0;
  model->done_ready_i = model->reward_ready_i = 0;
  model->rst_ni = 0;
  for (uint32_t i = 0; i < kResetCycles; ++i) model.edge();
  model->rst_ni = 1;
  model.edge();
  const uint32_t hash = read(HW_REG_CONTRACT_HASH);
  if (hash != HW_CONTRACT_HASH) {
    throw Fault("expected a device of contract hash " + hex(HW_CONTRACT_HASH) + ", but got " +
                hex(hash) + "; run `make gen` and replay again");
  }
  write(HW_REG_CTRL, 1u << HW_CTRL_ENABLE_BIT |
                         (job.require_checked ? 1u << HW_CTRL_REQUIRE_CHECKED_BIT : 0) |
                         (job.split_reward ? 1u << HW_CTRL_SPLIT_REWARD_BIT : 0));
  cycle();
  active = true;
}

// Whether the replay has ended.
bool dv_core::run(uint64_t cycles) {
  const uint64_t end = model.cycles() + cycles;
  while (taken() < job.count) {
    if (model.cycles() >= end) return false;
    ring_doorbell();
    cycle();
    if (stopped_) {
      stopped_ = false;
      wait_until_halted();
      if (job.halt) {
        state.halted = 1;
        break;
      }
      write(HW_REG_CTRL, 1u << HW_CTRL_ENABLE_BIT | 1u << HW_CTRL_RESUME_BIT);
      cycle();
    }
  }
  rest();
  active = false;
  return true;
}

inline void dv_core::cycle() {
  Vdut &top = *model.operator->();
  if (!offered_ && state.written < job.count && !random.chance(job.pause_in)) {
    std::memcpy(top.line_data_i.data(), line(state.written), HW_DESC_BYTES);
    offered_ = true;
  }
  top.line_valid_i = offered_;
  const bool line_taken = offered_ && top.line_ready_o;
  const bool take_done = !random.chance(job.pause_out);
  const bool take_reward = !random.chance(job.pause_out);
  top.done_ready_i = take_done;
  top.reward_ready_i = take_reward;
  ++idle_;
  if (take_done && top.done_valid_o) {
    take(top.done_data_o.data(), job.done, state.done);
    stopped_ |= (top.done_data_o[kFlagsOffset / 4] >> (8 * (kFlagsOffset % 4)) &
                 HW_FLAG_STOPPED) != 0;
  }
  if (take_reward && top.reward_valid_o) {
    take(top.reward_data_o.data(), job.reward, state.reward);
  }
  model.edge();
  top.reg_valid_i = 0;
  if (line_taken) {
    ++state.written;
    offered_ = false;
  }
  if (idle_ > job.hang_cycles && !reporting_) {
    throw Fault("no completion for " + std::to_string(job.hang_cycles) + " cycles");
  }
}

inline void dv_core::take(const void *from, void *target, uint64_t &count) {
  if (target == nullptr || taken() >= job.count) {
    if (reporting_) return;
    throw Fault(target ? "more completions than lines" : "a completion in a ring out of use");
  }
  std::memcpy(static_cast<char *>(target) + HW_DESC_BYTES * count, from, HW_DESC_BYTES);
  ++count;
  idle_ = 0;
}

// Publish lines once there is room for a batch. CMD_HEAD is at least the completions taken, so that
// the new tail is always legal [DB-002].
inline void dv_core::ring_doorbell() {
  const uint64_t room = taken() + dv_ring_depth() - state.published;
  const uint64_t missing = job.count - state.published;
  const uint64_t lines = room < missing ? room : missing;
  if (lines == 0 || lines < (batch_ < missing ? batch_ : missing)) return;
  state.published += lines;
  batch_ = job.doorbell_batch ? job.doorbell_batch : 1 + random.below(dv_ring_depth());
  write(HW_REG_DOORBELL, static_cast<uint32_t>(job.first_index + state.published));
}

// Offer a write to the coming edge.
inline void dv_core::write(uint32_t address, uint32_t value) {
  model->reg_valid_i = 1;
  model->reg_write_i = 1;
  model->reg_addr_i = address;
  model->reg_wdata_i = value;
}

uint32_t dv_core::read(uint32_t address) {
  model->reg_valid_i = 1;
  model->reg_write_i = 0;
  model->reg_addr_i = address;
  cycle();
  if (!model->reg_rvalid_o) throw Fault("a read got no response in the next cycle");
  return model->reg_rdata_o;
}

void dv_core::wait_until_halted() {
  for (uint32_t i = 0; i < kHaltReads; ++i) {
    if (read(HW_REG_STATUS) >> HW_STATUS_HALTED_BIT & 1) return;
  }
  throw Fault("expected STATUS.HALTED after STOPPED, got none");
}

// Take what is left in the rings, then hold the device to its registers [RING-009].
void dv_core::rest() {
  const uint32_t answered = read(HW_REG_CMD_HEAD) - job.first_index;
  while (static_cast<uint32_t>(taken()) != answered) cycle();
  for (uint32_t i = 0; i < kRestCycles; ++i) cycle();
  const uint64_t first = job.first_index;
  expect("CMD_HEAD", HW_REG_CMD_HEAD, first + taken());
  expect("CMD_TAIL", HW_REG_CMD_TAIL, first + state.published);
  expect("DONE_HEAD", HW_REG_DONE_HEAD, first + state.done);
  expect("DONE_TAIL", HW_REG_DONE_TAIL, first + state.done);
  expect("REWARD_HEAD", HW_REG_REWARD_HEAD, first + state.reward);
  expect("REWARD_TAIL", HW_REG_REWARD_TAIL, first + state.reward);
  expect("CNT_DESCRIPTORS", HW_REG_CNT_DESCRIPTORS, taken());
  expect("CNT_BAD_DOORBELLS", HW_REG_CNT_BAD_DOORBELLS, 0);
  const uint32_t status = read(HW_REG_STATUS) & kErrorBits;
  if (status) throw Fault("register STATUS has error bits " + hex(status));
  if (taken() != job.count && !state.halted) throw Fault("not one completion a line");
}

void dv_core::expect(const char *name, uint32_t address, uint64_t expected) {
  const uint32_t want = static_cast<uint32_t>(expected), got = read(address);
  if (got != want) {
    throw Fault(std::string("register ") + name + " at rest: expected " + hex(want) + ", got " +
                hex(got));
  }
}

std::string dv_core::where() const {
  return std::to_string(taken()) + " completions of " + std::to_string(job.count) +
         " lines taken, " + std::to_string(state.written) + " lines written, " +
         std::to_string(state.published) + " published, cycle " + std::to_string(model.cycles()) +
         ", seed " + std::to_string(job.seed);
}

std::string dv_core::registers() {
  static constexpr struct {
    const char *name;
    uint32_t address;
  } kShown[] = {{"STATUS", HW_REG_STATUS},           {"CMD_HEAD", HW_REG_CMD_HEAD},
                {"CMD_TAIL", HW_REG_CMD_TAIL},       {"DONE_HEAD", HW_REG_DONE_HEAD},
                {"DONE_TAIL", HW_REG_DONE_TAIL},     {"REWARD_HEAD", HW_REG_REWARD_HEAD},
                {"REWARD_TAIL", HW_REG_REWARD_TAIL}, {"CNT_DESCRIPTORS", HW_REG_CNT_DESCRIPTORS}};
  reporting_ = true;
  std::string text;
  for (const auto &shown : kShown) {
    text += std::string(" ") + shown.name + "=" + hex(read(shown.address));
  }
  reporting_ = false;
  return text;
}

extern "C" {

dv_core_t *dv_open(uint64_t seed, char *error, uint64_t error_bytes) {
  try {
    return new dv_core(seed);
  } catch (const std::exception &failure) {
    std::snprintf(error, error_bytes, "%s", failure.what());
    return nullptr;
  }
}

void dv_close(dv_core_t *core) { delete core; }

int dv_waves(dv_core_t *core, const char *path, uint64_t from, uint64_t to) {
  return guarded(core, [&] { return core->waves(path, from, to), 0; });
}

int dv_start(dv_core_t *core, const dv_job_t *job) {
  return guarded(core, [&] { return core->start(*job), 0; });
}

int dv_run(dv_core_t *core, uint64_t cycles) {
  return guarded(core, [&] {
    if (!core->active) throw Fault("no replay has begun");
    return core->run(cycles) ? 0 : 1;
  });
}

void dv_state(const dv_core_t *core, dv_state_t *state) {
  *state = core->state;
  state->cycles = core->broken ? core->fault_cycle : core->model.cycles();
}

const char *dv_error(const dv_core_t *core) { return core->error.c_str(); }
uint32_t dv_ring_depth(void) { return DV_RING_DEPTH; }
uint32_t dv_workers(void) { return DV_WORKERS; }
uint32_t dv_contract_hash(void) { return HW_CONTRACT_HASH; }
uint32_t dv_features(void) { return (DV_WAVES ? 1u : 0) | (DV_ASSERTIONS ? 2u : 0); }
}
