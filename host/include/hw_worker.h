// SPDX-License-Identifier: Apache-2.0
//
// The worker step: sections 1 to 4 of the contract for one line. Valid C11 and CUDA C++, so that
// the native worker and a GPU kernel run the same text. Written from the rules; it shares nothing
// with the golden model.
//
//   hw_step_t step = hw_worker_step(&line, index, require_checked);   // checks, opcode, flags
//   hw_worker_seal(&line, post_index);                                // if step.seal: tag and CRC
//
// A target where many threads make one CRC hands it to hw_worker_step_by_crc, and seals by
// hw_worker_tag and hw_worker_add_crc.
//
// The two are apart because the tag of a completion is the index at which it is posted [DESC-023],
// which with two completion rings is only known when its turn has come [RING-007] [RING-008].
//
// A target with a faster CRC-32C defines HW_CRC32C_LINE(line) before it includes this header.
#ifndef HW_WORKER_H
#define HW_WORKER_H

#include "hw_desc.h"

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define HW_FN static __host__ __device__ __forceinline__
#if defined(__CUDACC_RTC__)
#undef HW_FN
#define HW_FN static __device__ __forceinline__
#endif
#else
#define HW_FN static inline
#include <string.h>
#endif

// What became of a line, beside the line itself.
typedef struct hw_step {
  hw_u32 tokens;  // decoded tokens (REG CNT_TOKENS): 0..32 of a DECODE, any number of a ROLLOUT
  hw_u16 error;   // 0, or the error code
  hw_u16 stop;    // 1: an accepted STOP; the device halts behind it [LIFE-003]
  hw_u16 seal;    // 1: the completion carries tag and CRC; call hw_worker_seal
  hw_u16 reward;  // 1: NEEDS_REWARD, so it goes to the reward ring if there are two [RING-008]
} hw_step_t;

// One step of the reflected CRC over eight bits, by two look-ups of four bits each: 64 bytes of
// table, which fit in registers or constant memory of any target [DESC-020].
HW_FN hw_u32 hw_crc32c_byte(hw_u32 crc, hw_u32 byte) {
  static const hw_u32 nibble[16] = {
      0x00000000u, 0x105EC76Fu, 0x20BD8EDEu, 0x30E349B1u, 0x417B1DBCu, 0x5125DAD3u,
      0x61C69362u, 0x7198540Du, HW_CRC32C_POLY_REFLECTED, 0x92A8FC17u, 0xA24BB5A6u,
      0xB21572C9u, 0xC38D26C4u, 0xD3D3E1ABu, 0xE330A81Au, 0xF36E6F75u};
  crc ^= byte;
  crc = (crc >> 4) ^ nibble[crc & 15u];
  return (crc >> 4) ^ nibble[crc & 15u];
}

// CRC-32C over bytes 0..59 of a line, on any target [DESC-020].
HW_FN hw_u32 hw_crc32c_portable(const hw_desc_t *line) {
  const unsigned char *bytes = (const unsigned char *)line;
  hw_u32 crc = HW_CRC32C_INIT;
  for (int at = 0; at < HW_CRC_BYTES; ++at) {
    crc = hw_crc32c_byte(crc, bytes[at]);
  }
  return crc ^ HW_CRC32C_XOR_OUT;
}

#ifndef HW_CRC32C_LINE
#define HW_CRC32C_LINE(line) hw_crc32c_portable(line)
#endif

// The float32 bits of (seq_len & 255) / 255, to nearest, ties to even [OP-010].
HW_FN hw_u32 hw_reward_bits(hw_u32 seq_len) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(__fdiv_rn((float)(seq_len & 255u), 255.0f));
#else
  const float score = (float)(seq_len & 255u) / 255.0f;
  hw_u32 bits;
  memcpy(&bits, &score, sizeof bits);
  return bits;
#endif
}

// Decode up to max_tokens or the next reward boundary, whichever is nearer; returns the tokens
// made and sets *reward if the boundary ended it. Works on what is left, never on the boundary
// itself, which need not fit in 32 bits [DEC-001..DEC-004].
HW_FN hw_u32 hw_decode(hw_desc_t *line, hw_u16 *reward) {
  *reward = 0;
  if (line->seq_len >= line->max_tokens) {
    return 0;
  }
  const hw_u32 left = line->max_tokens - line->seq_len;
  const hw_u32 room = HW_REWARD_INTERVAL - line->seq_len % HW_REWARD_INTERVAL;
  const hw_u32 tokens = left <= room ? left : room;
  *reward = left > room;
  line->seq_len += tokens;
  return tokens;
}

// Decode up to max_tokens, across every reward boundary; returns the tokens made [DEC-006].
HW_FN hw_u32 hw_decode_all(hw_desc_t *line) {
  const hw_u32 tokens =
      line->seq_len < line->max_tokens ? line->max_tokens - line->seq_len : 0u;
  line->seq_len += tokens;
  return tokens;
}

// The first check that fails, in the order of ERR-011; 0 if the line is accepted. `crc` is the
// line's CRC-32C; one that is not CHECKED needs none.
HW_FN hw_u16 hw_check(const hw_desc_t *line, hw_u32 index, int require_checked, hw_u32 crc) {
  if (line->flags & HW_FLAG_CHECKED) {
    if (crc != (hw_u32)(line->checksum_or_cookie >> 32)) {
      return HW_ERROR_CODE_BAD_CHECKSUM;
    }
    if ((hw_u32)line->checksum_or_cookie != index) {
      return HW_ERROR_CODE_BAD_TAG;
    }
  } else if (require_checked) {
    return HW_ERROR_CODE_BAD_CHECKSUM;
  }
  switch (line->opcode) {
    case HW_OPCODE_NOP:
    case HW_OPCODE_DECODE:
    case HW_OPCODE_REWARD:
    case HW_OPCODE_PREFILL:
    case HW_OPCODE_ROLLOUT:
    case HW_OPCODE_STOP:
      return 0;
    default:
      return HW_ERROR_CODE_BAD_OPCODE;
  }
}

// Turn the submission *line, written at ring index `index`, into its completion, all but tag and
// CRC. `require_checked` is CTRL.REQUIRE_CHECKED [DESC-025], `crc` as for hw_check.
HW_FN hw_step_t hw_worker_step_by_crc(hw_desc_t *line, hw_u32 index, int require_checked,
                                      hw_u32 crc) {
  hw_step_t step = {0, 0, 0, 0, 0};
  hw_u32 outcome = HW_FLAG_DONE;
  step.error = hw_check(line, index, require_checked, crc);
  if (step.error) {
    outcome = HW_FLAG_ERROR | (hw_u32)step.error << HW_ERROR_CODE_SHIFT;
  } else if (line->opcode == HW_OPCODE_DECODE) {
    step.tokens = hw_decode(line, &step.reward);
    outcome = step.reward ? HW_FLAG_NEEDS_REWARD : HW_FLAG_DONE;
  } else if (line->opcode == HW_OPCODE_REWARD) {
    line->reserved0 = hw_reward_bits(line->seq_len);
  } else if (line->opcode == HW_OPCODE_PREFILL) {
    line->seq_len = line->seq_len > line->max_tokens ? line->seq_len : line->max_tokens;
  } else if (line->opcode == HW_OPCODE_ROLLOUT) {
    step.tokens = hw_decode_all(line);
    line->reserved0 = hw_reward_bits(line->seq_len);  // of the final length [DEC-007]
  } else if (line->opcode == HW_OPCODE_STOP) {
    step.stop = 1;
    outcome = HW_FLAG_STOPPED;
  }
  if (require_checked) {
    outcome |= HW_FLAG_CHECKED;
  }
  line->flags = (hw_u16)((line->flags & ~HW_DEVICE_OWNED_FLAGS) | outcome);
  step.seal = (line->flags & HW_FLAG_CHECKED) != 0;
  return step;
}

HW_FN hw_step_t hw_worker_step(hw_desc_t *line, hw_u32 index, int require_checked) {
  const hw_u32 crc = line->flags & HW_FLAG_CHECKED ? HW_CRC32C_LINE(line) : 0u;
  return hw_worker_step_by_crc(line, index, require_checked, crc);
}

HW_FN void hw_worker_tag(hw_desc_t *line, hw_u32 index) { line->checksum_or_cookie = index; }

// The CRC-32C of a line that already has its tag.
HW_FN void hw_worker_add_crc(hw_desc_t *line, hw_u32 crc) {
  line->checksum_or_cookie |= (hw_u64)crc << 32;
}

// Write tag and CRC of a line at ring index `index`: a completion before it is posted [DESC-023],
// or a submission by its host [DESC-020] [DESC-022]. The flag CHECKED must already be set.
HW_FN void hw_worker_seal(hw_desc_t *line, hw_u32 index) {
  hw_worker_tag(line, index);
  hw_worker_add_crc(line, HW_CRC32C_LINE(line));
}

#endif  // HW_WORKER_H
