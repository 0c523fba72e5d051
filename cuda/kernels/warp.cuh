// SPDX-License-Identifier: Apache-2.0
//
// What the engine's kernels need of a machine beside port.cuh: half precision and streaming loads. They
// are written for warps and blocks, in the words of CUDA; for a CPU the emulator gives these words
// their meaning (cuda/emulator/simt.h).
#ifndef HW_WARP_CUH
#define HW_WARP_CUH

#include "port.cuh"

#define HW_ALL_LANES 0xFFFFFFFFu

#if defined(__CUDACC_RTC__)

#define HW_BLOCK_SHARED __shared__
#define HW_DEV_CALL static __device__ __noinline__
#define HW_ONE_BY_ONE _Pragma("unroll 1")

HW_DEV float hw_from_half(hw_u16 bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}

// To nearest, ties to even.
HW_DEV hw_u16 hw_to_half(float value) {
  hw_u16 bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

// Both halves of a word, the low one first.
HW_DEV float2 hw_from_halves(hw_u32 word) {
  float2 value;
  asm("{\n\t.reg .f16 low, high;\n\tmov.b32 {low, high}, %2;\n\tcvt.f32.f16 %0, low;\n\t"
      "cvt.f32.f16 %1, high;\n\t}"
      : "=f"(value.x), "=f"(value.y) : "r"(word));
  return value;
}

#else

#include <simt.h>

#define HW_BLOCK_SHARED static thread_local
#define HW_DEV_CALL static
#define HW_ONE_BY_ONE

HW_DEV float hw_from_half(hw_u16 bits) {
  _Float16 value;
  memcpy(&value, &bits, sizeof value);
  return (float)value;
}

HW_DEV hw_u16 hw_to_half(float value) {
  const _Float16 rounded = (_Float16)value;
  hw_u16 bits;
  memcpy(&bits, &rounded, sizeof bits);
  return bits;
}

HW_DEV float2 hw_from_halves(hw_u32 word) {
  return float2{hw_from_half((hw_u16)word), hw_from_half((hw_u16)(word >> 16))};
}

#endif

#endif  // HW_WARP_CUH
