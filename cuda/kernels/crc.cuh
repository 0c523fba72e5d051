// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C of a line, 16 bytes a step, by sixteen tables of the contribution of each byte [DESC-020].
// The tables fill 16 KiB of shared memory; a team fills them before its first line.
#ifndef HW_CRC_CUH
#define HW_CRC_CUH

#include "port.cuh"

// hw_crc_table[256 * k + b]: the CRC of byte b with k zero bytes behind it.
HW_SHARED hw_u32 hw_crc_table[16 * 256];

template <hw_u32 Lanes>
HW_DEV void hw_crc_fill(const hw_team<Lanes> &team) {
  for (hw_u32 byte = team.lane; byte < 256; byte += team.lanes) {
    hw_u32 crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ (crc & 1u ? HW_CRC32C_POLY_REFLECTED : 0u);
    }
    hw_crc_table[byte] = crc;
  }
  team.sync();
  for (hw_u32 zeros = 1; zeros < 16; ++zeros) {
    for (hw_u32 byte = team.lane; byte < 256; byte += team.lanes) {
      const hw_u32 before = hw_crc_table[256 * (zeros - 1) + byte];
      hw_crc_table[256 * zeros + byte] = (before >> 8) ^ hw_crc_table[before & 0xFFu];
    }
    team.sync();
  }
}

// Of four bytes with `zeros` bytes behind them.
HW_DEV hw_u32 hw_crc_word(hw_u32 word, hw_u32 zeros) {
  return hw_crc_table[256 * (zeros + 3) + (word & 0xFFu)] ^
         hw_crc_table[256 * (zeros + 2) + (word >> 8 & 0xFFu)] ^
         hw_crc_table[256 * (zeros + 1) + (word >> 16 & 0xFFu)] ^
         hw_crc_table[256 * zeros + (word >> 24)];
}

typedef union hw_words {
  hw_desc_t line;
  hw_u32 word[HW_DESC_BYTES / 4];
} hw_words_t;

HW_DEV hw_u32 hw_crc32c_sliced(const hw_desc_t *line) {
  hw_words_t from;
  from.line = *line;
  hw_u32 crc = HW_CRC32C_INIT;
  HW_UNROLL
  for (int at = 0; at < 12; at += 4) {
    crc = hw_crc_word(from.word[at] ^ crc, 12) ^ hw_crc_word(from.word[at + 1], 8) ^
          hw_crc_word(from.word[at + 2], 4) ^ hw_crc_word(from.word[at + 3], 0);
  }
  crc = hw_crc_word(from.word[12] ^ crc, 8) ^ hw_crc_word(from.word[13], 4) ^
        hw_crc_word(from.word[14], 0);
  return crc ^ HW_CRC32C_XOR_OUT;
}

#define HW_CRC32C_LINE(line) hw_crc32c_sliced(line)
#include "hw_worker.h"

#endif  // HW_CRC_CUH
