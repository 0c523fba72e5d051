// SPDX-License-Identifier: Apache-2.0
#include "fast_crc.h"

#include "hw_worker.h"

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static hw_u32 crc_sse42(const hw_desc_t *line) {
  hw_u64 words[HW_DESC_BYTES / 8];
  memcpy(words, line, sizeof words);
  hw_u64 crc = HW_CRC32C_INIT;
  for (int at = 0; at < HW_CRC_BYTES / 8; ++at) {
    crc = _mm_crc32_u64(crc, words[at]);
  }
  return _mm_crc32_u32((hw_u32)crc, (hw_u32)words[HW_CRC_BYTES / 8]) ^ HW_CRC32C_XOR_OUT;
}

static int have_sse42;

__attribute__((constructor)) static void look(void) {
  __builtin_cpu_init();
  have_sse42 = __builtin_cpu_supports("sse4.2");
}

hw_u32 hw_crc32c_fast(const hw_desc_t *line) {
  return have_sse42 ? crc_sse42(line) : hw_crc32c_portable(line);
}
#else
hw_u32 hw_crc32c_fast(const hw_desc_t *line) { return hw_crc32c_portable(line); }
#endif
