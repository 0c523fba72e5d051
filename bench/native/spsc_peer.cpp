// SPDX-License-Identifier: Apache-2.0
//
// A queue of one writer and one reader that others have written, given by path: its header must have
// a class template rigtorp::SPSCQueue. One row of JSON, as main.c prints it. bench/host_table.py
// compiles it with -DPEER_HEADER='"PATH"'.
#include PEER_HEADER

#include <sched.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace {

struct alignas(64) Line {
  unsigned long long word[8];
};

constexpr unsigned Slots = 4096;

double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// This thread on the first or second CPU that the program may use.
void run_on(int which) {
  static cpu_set_t all = [] {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  for (int cpu = 0, left = which; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &all) && left-- == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);
      return;
    }
  }
}

Line made(unsigned long long at) {
  Line line;
  for (unsigned long long word = 0; word < 8; ++word) {
    line.word[word] = at * 8 + word;
  }
  return line;
}

}  // namespace

int main(int count, char **arguments) {
  const unsigned long lines = count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 0;
  if (lines == 0) {
    std::fprintf(stderr, "usage: spsc_peer LINES\n");
    return 2;
  }
  rigtorp::SPSCQueue<Line> queue(Slots);
  run_on(0);
  const double start = seconds();
  std::thread writer([&] {
    run_on(1);
    for (unsigned long at = 0; at < lines; ++at) {
      queue.push(made(at));
    }
  });
  for (unsigned long at = 0; at < lines; ++at) {
    Line *line;
    while ((line = queue.front()) == nullptr) {
    }
    const Line expected = made(at);
    if (std::memcmp(line, &expected, sizeof expected) != 0) {
      std::fprintf(stderr, "the peer's queue gave a wrong line, at line %lu\n", at);
      return 1;
    }
    queue.pop();
  }
  const double rate = static_cast<double>(lines) / (seconds() - start);
  writer.join();
  std::printf("{\"what\": \"peer's SPSC queue, one way\", \"batch\": 1, \"lines_per_s\": %.0f}\n", rate);
  return 0;
}
