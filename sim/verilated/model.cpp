// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <cstdarg>
#include <cstdio>

namespace descring {
namespace {

// What the RTL printed since the last failure, for its text. One thread drives one model.
thread_local std::string printed;

std::string message(const char *file, int line, const char *what) {
  std::string text = printed.empty() ? what : printed;
  printed.clear();
  for (char &c : text) {
    if (c == '\n') c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  std::string name = file;
  name.erase(0, name.rfind('/') + 1);
  return name + ":" + std::to_string(line) + ": " + text;
}

}  // namespace

Model::Model(uint64_t seed) : context_(new VerilatedContext) {
  context_->fatalOnError(true);
  context_->randReset(2);
  context_->randSeed(static_cast<int>(seed % 0x7FFFFFFE) + 1);
#if DV_WAVES
  context_->traceEverOn(true);
#endif
  top_.reset(new Vdut(context_.get(), "TOP"));
  top_->clk_i = 0;
  top_->rst_ni = 0;
  top_->eval();
}

Model::~Model() { stop_recording(); }

#if DV_WAVES
void Model::open(const std::string &path) {
  stop_recording();
  trace_.reset(new VerilatedFstC);
  top_->trace(trace_.get(), 99);
  trace_->open(path.c_str());
  if (!trace_->isOpen()) {
    trace_.reset();
    throw Fault("cannot write waves to " + path);
  }
  path_ = path;
}

void Model::record(const std::string &path, uint64_t from, uint64_t to) {
  open(path);
  from_ = from;
  to_ = to;
  segment_ = 0;
}

void Model::record_last(const std::string &path, uint64_t last) {
  record(path, cycles_, cycles_ + last);
  segment_ = last;
}

// A segment that is full becomes the older one, and the one before it is forgotten.
void Model::next_segment() {
  if (trace_ && segment_ && cycles_ == to_) {
    const std::string path = path_;
    trace_->close();
    std::rename(path.c_str(), (path + ".older").c_str());
    record_last(path, segment_);
  }
}

void Model::stop_recording() {
  if (trace_) trace_->close();
  trace_.reset();
}
#else
void Model::record(const std::string &path, uint64_t, uint64_t) {
  throw Fault("this library was built without waves and cannot write " + path);
}

void Model::record_last(const std::string &path, uint64_t last) { record(path, 0, last); }

void Model::stop_recording() {}
#endif

}  // namespace descring

// ------------------------------------------------------------ called by the runtime of Verilator

int descring_printf(const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  descring::printed += text;
  return length;
}

void vl_fatal(const char *file, int line, const char *, const char *text) {
  throw descring::Fault(descring::message(file, line, text));
}

void vl_stop(const char *file, int line, const char *) {
  throw descring::Fault(descring::message(file, line, "$stop"));
}

void vl_finish(const char *file, int line, const char *) {
  throw descring::Fault(descring::message(file, line, "$finish"));
}
