// SPDX-License-Identifier: Apache-2.0
//
// A plain C++ loop over stand_in.sv: two evaluations a cycle, one descriptor and one completion at
// a time, as a bridge written by hand has it. Prints descriptors, seconds and cycles; ends with
// code 1 if a completion is wrong.
#include <verilated.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "Vstand_in.h"

int main(int, char **arguments) {
  const unsigned long count = std::strtoul(arguments[1], nullptr, 10);
  const unsigned tokens = std::strtoul(arguments[2], nullptr, 10);
  VerilatedContext context;
  Vstand_in top(&context);
  unsigned long cycles = 0, sent = 0, taken = 0;
  const auto tick = [&] {
    top.clk_i = 0;
    top.eval();
    context.timeInc(1);
    top.clk_i = 1;
    top.eval();
    context.timeInc(1);
    ++cycles;
  };
  top.rst_ni = 0;
  top.desc_valid_i = 0;
  top.comp_ready_i = 1;
  for (int i = 0; i < 4; ++i) tick();
  top.rst_ni = 1;
  tick();
  cycles = 0;
  const auto began = std::chrono::steady_clock::now();
  while (taken < count) {
    const bool send = sent < count && top.desc_ready_o;
    if (send) {
      for (int word = 0; word < 6; ++word) top.desc_i[word] = 0;
      top.desc_i[0] = tokens;
      top.desc_i[1] = 1u << 16 | (sent & 0xFFFF);
      ++sent;
    }
    top.desc_valid_i = send;
    if (top.comp_valid_o) {
      const QData completion = top.comp_o;
      if ((completion >> 40 & 0xFFFF) != (taken & 0xFFFF) || (completion >> 16 & 0xFFFF) != tokens) {
        std::fprintf(stderr, "completion %lu is wrong: 0x%llx\n", taken,
                     static_cast<unsigned long long>(completion));
        return 1;
      }
      ++taken;
    }
    tick();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - began;
  std::printf("%lu %.9f %lu\n", taken, elapsed.count(), cycles);
  return 0;
}
