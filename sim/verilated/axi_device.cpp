// SPDX-License-Identifier: Apache-2.0
//
// rl_runtime_axi behind its two buses: register accesses of the host over AXI4-Lite, rings in the
// host's memory over AXI4, and time that passes only while the host asks for something.
#include <cstdio>
#include <string>

#include "axi_memory.h"
#include "hw_desc.h"
#include "model.h"

using descring::AxiMemory;
using descring::Fault;
using descring::guarded;
using descring::Model;
using descring::Random;

namespace {

constexpr uint32_t kResetCycles = 4;
constexpr uint32_t kAnswerCycles = 16;  // a register access takes a few
constexpr uint32_t kOkay = 0;

}  // namespace

struct dx_device {
  dx_device(void *window, uint64_t bytes, uint32_t first_index, const dx_bus_t &wanted)
      : model(wanted.seed),
        memory(static_cast<uint8_t *>(window), bytes, wanted),
        random(wanted.seed ^ 0x5DEECE66Du),
        bus(wanted) {
    Vdut &top = *model.operator->();
    top.first_index_i = first_index;
    top.window_last_i = bytes - 1;
    // Inputs too start at random.
    top.s_axil_awvalid = top.s_axil_wvalid = top.s_axil_bready = 0;
    top.s_axil_arvalid = top.s_axil_rready = 0;
    top.m_axi_arready = top.m_axi_awready = top.m_axi_wready = 0;
    top.m_axi_rvalid = top.m_axi_bvalid = 0;
    top.s_axil_awprot = top.s_axil_arprot = 0;
    top.s_axil_wstrb = 0xF;
    top.rst_ni = 0;
    for (uint32_t i = 0; i < kResetCycles; ++i) model.edge();
    top.rst_ni = 1;
    cycle();
  }

  void cycle() {
    Vdut &top = *model.operator->();
    if (!detached_) memory.drive(top);
    model.settle();
    if (!detached_) memory.sample(top);
    // The register bus is sampled before the edge as well.
    accepted_aw_ = top.s_axil_awvalid && top.s_axil_awready;
    accepted_w_ = top.s_axil_wvalid && top.s_axil_wready;
    accepted_b_ = top.s_axil_bvalid && top.s_axil_bready;
    accepted_ar_ = top.s_axil_arvalid && top.s_axil_arready;
    accepted_r_ = top.s_axil_rvalid && top.s_axil_rready;
    if (accepted_b_) answer_ = top.s_axil_bresp;
    if (accepted_r_) {
      answer_ = top.s_axil_rresp;
      data_ = top.s_axil_rdata;
    }
    model.edge();
  }

  uint32_t read32(uint32_t address) {
    Vdut &top = *model.operator->();
    top.s_axil_araddr = address;
    bool asked = false;
    for (uint32_t i = 0; i < bus.stuck_cycles; ++i) {
      top.s_axil_arvalid = !asked;
      top.s_axil_rready = !random.chance(bus.pause);
      cycle();
      asked = asked || accepted_ar_;
      if (accepted_r_) {
        top.s_axil_arvalid = top.s_axil_rready = 0;
        check(address);
        return data_;
      }
    }
    throw unanswered("read", address);
  }

  void write32(uint32_t address, uint32_t value) {
    Vdut &top = *model.operator->();
    top.s_axil_awaddr = address;
    top.s_axil_wdata = value;
    // Address and data may arrive in either order [AXI4-Lite].
    uint32_t address_late = random.chance(bus.pause) ? 1 + random.below(4) : 0;
    uint32_t data_late = random.chance(bus.pause) ? 1 + random.below(4) : 0;
    bool address_taken = false, data_taken = false;
    for (uint32_t i = 0; i < bus.stuck_cycles; ++i) {
      top.s_axil_awvalid = !address_taken && i >= address_late;
      top.s_axil_wvalid = !data_taken && i >= data_late;
      top.s_axil_bready = !random.chance(bus.pause);
      cycle();
      address_taken = address_taken || accepted_aw_;
      data_taken = data_taken || accepted_w_;
      if (accepted_b_) {
        if (!address_taken || !data_taken) throw Fault("AXI protocol: a response before its write");
        top.s_axil_awvalid = top.s_axil_wvalid = top.s_axil_bready = 0;
        check(address);
        return;
      }
    }
    throw unanswered("write", address);
  }

  int run(uint64_t silent, uint64_t most) {
    bool any = false;
    uint64_t quiet = 0;
    for (uint64_t i = 0; i < most; ++i) {
      cycle();
      if (memory.take_traffic() || memory.busy()) {
        any = true;
        quiet = 0;
      } else if (++quiet >= silent) {
        return any ? 1 : 0;
      }
    }
    return 2;
  }

  std::string where() const {
    return "cycle " + std::to_string(model.cycles()) + ", seed " + std::to_string(bus.seed);
  }

  // Where the device stands, for the text of a failure.
  std::string registers() {
    static constexpr struct {
      const char *name;
      uint32_t address;
    } kShown[] = {{"STATUS", HW_REG_STATUS},       {"CMD_HEAD", HW_REG_CMD_HEAD},
                  {"CMD_TAIL", HW_REG_CMD_TAIL},   {"DONE_HEAD", HW_REG_DONE_HEAD},
                  {"DONE_TAIL", HW_REG_DONE_TAIL}, {"REWARD_HEAD", HW_REG_REWARD_HEAD},
                  {"REWARD_TAIL", HW_REG_REWARD_TAIL}};
    finish_access();
    std::string text;
    for (const auto &shown : kShown) {
      char value[48];
      std::snprintf(value, sizeof value, " %s=0x%08x", shown.name, read32(shown.address));
      text += value;
    }
    return text;
  }
  void fail() { broken = true; }

  Model model;
  AxiMemory memory;
  Random random;
  dx_bus_t bus;
  std::string error;
  bool broken = false;

 private:
  // The failure may have occurred in the middle of an access: take its response, if it has one. Memory
  // no longer responds: what it objected to would still be there.
  void finish_access() {
    Vdut &top = *model.operator->();
    detached_ = true;
    top.m_axi_arready = top.m_axi_awready = top.m_axi_wready = 0;
    top.m_axi_rvalid = top.m_axi_bvalid = 0;
    top.s_axil_awvalid = top.s_axil_wvalid = top.s_axil_arvalid = 0;
    top.s_axil_bready = top.s_axil_rready = 1;
    for (uint32_t i = 0; i < kAnswerCycles; ++i) cycle();
    top.s_axil_bready = top.s_axil_rready = 0;
  }

  void check(uint32_t address) const {
    if (answer_ != kOkay) {
      throw Fault("register " + std::to_string(address) + " got the response " +
                  std::to_string(answer_) + ", expected OKAY");
    }
  }
  Fault unanswered(const char *what, uint32_t address) const {
    return Fault(std::string("the ") + what + " of register " + std::to_string(address) +
                 " got no response for " + std::to_string(bus.stuck_cycles) + " cycles");
  }

  bool detached_ = false;
  bool accepted_aw_ = false, accepted_w_ = false, accepted_b_ = false;
  bool accepted_ar_ = false, accepted_r_ = false;
  uint32_t answer_ = 0, data_ = 0;
};

extern "C" {

dx_device_t *dx_open(void *memory, uint64_t bytes, uint32_t first_index, const dx_bus_t *bus,
                     char *error, uint64_t error_bytes) {
  try {
    return new dx_device(memory, bytes, first_index, *bus);
  } catch (const std::exception &failure) {
    std::snprintf(error, error_bytes, "%s", failure.what());
    return nullptr;
  }
}

void dx_close(dx_device_t *device) { delete device; }

int dx_read32(dx_device_t *device, uint32_t address, uint32_t *value) {
  return guarded(device, [&] { return *value = device->read32(address), 0; });
}

int dx_write32(dx_device_t *device, uint32_t address, uint32_t value) {
  return guarded(device, [&] { return device->write32(address, value), 0; });
}

int dx_run(dx_device_t *device, uint64_t silent, uint64_t most) {
  return guarded(device, [&] { return device->run(silent, most); });
}

int dx_step(dx_device_t *device, uint64_t cycles) {
  return guarded(device, [&] {
    for (uint64_t i = 0; i < cycles; ++i) device->cycle();
    return 0;
  });
}

int dx_inject_bus_error(dx_device_t *device, uint64_t start, uint64_t stop) {
  return guarded(device, [&] { return device->memory.inject_error(start, stop), 0; });
}

void dx_clear_bus_errors(dx_device_t *device) { device->memory.clear_errors(); }

int dx_waves(dx_device_t *device, const char *path, uint64_t last) {
  return guarded(device, [&] {
    if (*path == 0) {
      device->model.stop_recording();
    } else if (last) {
      device->model.record_last(path, last);
    } else {
      device->model.record(path, 0, ~uint64_t{0});
    }
    return 0;
  });
}

void dx_trace(dx_device_t *device, void *ring) {
  device->memory.trace(static_cast<hw_trace_ring_t *>(ring), device->model.cycles());
}

void dx_state(const dx_device_t *device, dx_state_t *state) {
  const AxiMemory &memory = device->memory;
  *state = {device->model.cycles(), memory.lines_read, memory.lines_written,
            memory.bursts,          memory.errors,     device->model->irq_o};
}

const char *dx_error(const dx_device_t *device) { return device->error.c_str(); }
uint32_t dx_contract_hash(void) { return HW_CONTRACT_HASH; }
}
