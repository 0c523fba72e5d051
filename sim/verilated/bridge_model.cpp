// SPDX-License-Identifier: Apache-2.0
//
// What the interactive bridge needs of the model beside pyverilator's own wrapper: time, without
// which the assertions of the RTL stay off, and failures. No C++ exception may cross a call from
// Python, so what ends a simulation is kept until the bridge asks for it after the evaluation.
#include <verilated.h>

#include <string>

namespace {

std::string fault;

void keep(const char *file, int line, const char *what) {
  if (fault.empty()) fault = std::string(file) + ":" + std::to_string(line) + ": " + what;
}

}  // namespace

void vl_fatal(const char *file, int line, const char *, const char *text) {
  keep(file, line, text);
}

void vl_stop(const char *file, int line, const char *) {
  keep(file, line, "an assertion of the RTL");
}

extern "C" void descring_bridge_advance(void) { Verilated::threadContextp()->timeInc(1); }

// To be called before a model is made: its time starts at 0. All models of a library share it.
extern "C" void descring_bridge_restart(void) {
  Verilated::threadContextp()->time(0);
  fault.clear();
}

// The first failure since the last call, an empty text if there was none.
extern "C" const char *descring_bridge_fault(void) {
  static std::string told;
  told.swap(fault);
  fault.clear();
  return told.c_str();
}
