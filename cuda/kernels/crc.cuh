// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C of a line [DESC-020]: by one thread, 16 bytes a step, with sixteen tables of the
// contribution of each byte; and by a whole warp at once, two bytes a lane, with a table of the
// contribution of each half byte of a line. The tables fill 16 KiB and 7.5 KiB of shared memory; a
// team fills those it uses before its first line.
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

// At hw_crc_half_byte_at(h, k): the CRC of byte h, or for h >= 16 of byte 16 * (h - 16), with k zero
// bytes behind it. Turned so that lanes with the same half byte, above all 0, meet in no memory bank.
HW_SHARED hw_u32 hw_crc_half_bytes[HW_CRC_BYTES * 32];

HW_DEV hw_u32 hw_crc_half_byte_at(hw_u32 half, hw_u32 zeros) {
  return 32 * zeros + (half + zeros / 2) % 32;
}

// Needs hw_crc_fill.
template <hw_u32 Lanes>
HW_DEV void hw_crc_fill_half_bytes(const hw_team<Lanes> &team) {
  for (hw_u32 half = team.lane; half < 32; half += team.lanes) {
    hw_u32 crc = hw_crc_table[half < 16 ? half : 16 * (half - 16)];
    for (hw_u32 zeros = 0; zeros < HW_CRC_BYTES; ++zeros) {
      hw_crc_half_bytes[hw_crc_half_byte_at(half, zeros)] = crc;
      crc = (crc >> 8) ^ hw_crc_table[crc & 0xFFu];
    }
  }
  team.sync();
}

HW_DEV hw_u32 hw_crc_of_byte(hw_u32 byte, hw_u32 zeros) {
  return hw_crc_half_bytes[hw_crc_half_byte_at(byte & 15u, zeros)] ^
         hw_crc_half_bytes[hw_crc_half_byte_at(16 + (byte >> 4), zeros)];
}

// A word by an index that differs from lane to lane, by selection: an array that is indexed so
// would lie in memory.
template <hw_u32 Count>
HW_DEV hw_u32 hw_pick_word(const hw_u32 *words, hw_u32 index) {
  if constexpr (Count == 1) {
    return words[0];
  } else {
    hw_u32 half[Count / 2];
    HW_UNROLL
    for (hw_u32 at = 0; at < Count / 2; ++at) {
      half[at] = index & 1u ? words[2 * at + 1] : words[2 * at];
    }
    return hw_pick_word<Count / 2>(half, index >> 1);
  }
}

// What the bytes of a line contribute to its CRC, each lane its pairs: `pair(n)` gives bytes 2n and
// 2n + 1. The CRC is this of the line ^ INIT ^ XOR_OUT, and linear: what changes a byte changes it by
// its own contribution.
template <hw_u32 Lanes, typename Pair>
HW_DEV hw_u32 hw_crc_contribution(const Pair &pair, const hw_team<Lanes> &team) {
  hw_u32 crc = 0;
  for (hw_u32 at = team.lane; at < HW_CRC_BYTES / 2; at += Lanes) {
    const hw_u32 bytes = pair(at), zeros = HW_CRC_BYTES - 2 - 2 * at;
    crc ^= hw_crc_of_byte(bytes & 0xFFu, zeros + 1) ^ hw_crc_of_byte(bytes >> 8, zeros);
  }
  return team.fold(crc);
}

// The CRC of a line, in every lane.
template <hw_u32 Lanes, typename Pair>
HW_DEV hw_u32 hw_crc32c_together(const Pair &pair, const hw_team<Lanes> &team) {
  return hw_crc_contribution(
             [&](hw_u32 at) { return pair(at) ^ (at < 2 ? HW_CRC32C_INIT & 0xFFFFu : 0u); },
             team) ^
         HW_CRC32C_XOR_OUT;
}

// By how much the CRC of one line differs from another's. Words that are known to be the same cost
// nothing.
template <hw_u32 Lanes>
HW_DEV hw_u32 hw_crc_change(const hw_words_t &from, const hw_words_t &to,
                            const hw_team<Lanes> &team) {
  hw_u32 differ[HW_DESC_BYTES / 4];
  HW_UNROLL
  for (int at = 0; at < HW_DESC_BYTES / 4; ++at) {
    differ[at] = from.word[at] ^ to.word[at];
  }
  return hw_crc_contribution(
      [&](hw_u32 at) {
        return hw_pick_word<HW_DESC_BYTES / 4>(differ, at / 2) >> 16 * (at % 2) & 0xFFFFu;
      },
      team);
}

#define HW_CRC32C_LINE(line) hw_crc32c_sliced(line)
#include "hw_worker.h"

#endif  // HW_CRC_CUH
