// SPDX-License-Identifier: Apache-2.0
//
// The engine's kernels on a CPU, one block after another (simt.h).
#define __global__
#define __launch_bounds__(...)

#include "engine.cu"

namespace {

struct kernel {
  const char *name;
  void (*run)(const hw_u64 *);
};

const hwe_engine_t *engine_of(hw_u64 address) { return (const hwe_engine_t *)address; }

const kernel kernels[] = {
    {"hwe_weights", [](const hw_u64 *a) { hwe_weights((hw_u32 *)a[0], (float *)a[1]); }},
    {"hwe_unembed", [](const hw_u64 *a) { hwe_unembed((hw_u32 *)a[0], (hw_u32)a[1], (hw_u32)a[2]); }},
    {"hwe_attention", [](const hw_u64 *a) { hwe_attention(engine_of(a[0])); }},
    {"hwe_logits_16", [](const hw_u64 *a) { hwe_logits_16(engine_of(a[0])); }},
    {"hwe_logits_32", [](const hw_u64 *a) { hwe_logits_32(engine_of(a[0])); }},
    {"hwe_draws", [](const hw_u64 *a) { hwe_draws(engine_of(a[0])); }},
    {"hwe_long_draws", [](const hw_u64 *a) { hwe_long_draws(engine_of(a[0])); }},
    {"hwe_tail_4", [](const hw_u64 *a) { hwe_tail_4(engine_of(a[0]), (hw_u32)a[1]); }},
    {"hwe_tail_8", [](const hw_u64 *a) { hwe_tail_8(engine_of(a[0]), (hw_u32)a[1]); }},
    {"hwe_tail_16", [](const hw_u64 *a) { hwe_tail_16(engine_of(a[0]), (hw_u32)a[1]); }},
    {"hwe_tail_32", [](const hw_u64 *a) { hwe_tail_32(engine_of(a[0]), (hw_u32)a[1]); }},
};

}  // namespace

// Run a kernel; 0: there is none of this name.
extern "C" int hwe_emulate(const char *name, hw_u32 blocks, hw_u32 threads, const hw_u64 *arguments) {
  for (const kernel &item : kernels) {
    if (strcmp(item.name, name) == 0) {
      const std::function<void()> body = [&] { item.run(arguments); };
      for (hw_u32 block = 0; block < blocks; ++block) {
        hw_simt::run(block, blocks, threads, body);
      }
      return 1;
    }
  }
  return 0;
}
