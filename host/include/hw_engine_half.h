// SPDX-License-Identifier: Apache-2.0
//
// fp16 and fp32 as bits, for C11: conversions in integers, equal to those of F16C for every input,
// and the check of the floating-point environment that the engine's arithmetic needs.
#ifndef HW_ENGINE_HALF_H
#define HW_ENGINE_HALF_H

#include <float.h>
#include <string.h>

#include "hw_desc.h"

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
#endif

#if defined(__FAST_MATH__)
#error "expected IEEE arithmetic for the engine, got -ffast-math; build without it"
#endif
#if FLT_EVAL_METHOD != 0
#error "expected fp32 arithmetic in fp32 (FLT_EVAL_METHOD 0); build for SSE2 or newer"
#endif

#define HWE_FN static inline

HWE_FN hw_u32 hwe_bits(float value) {
  hw_u32 bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

HWE_FN float hwe_float(hw_u32 bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// The fp32 bits of an fp16: exact. A NaN keeps its payload and becomes quiet.
HWE_FN hw_u32 hwe_half_bits(hw_u16 half) {
  const hw_u32 sign = (hw_u32)(half & 0x8000u) << 16;
  const hw_u32 size = half & 0x7FFFu;
  if (size - 0x400u < 0x7800u) {
    return sign | (size + (112u << 10)) << 13;
  }
  if (size >= 0x7C00u) {
    return sign | 0x7F800000u | (size & 0x3FFu) << 13 | (size > 0x7C00u ? 0x400000u : 0u);
  }
  hw_u32 exponent = 113u, fraction = size;
  if (size) {
    for (; !(fraction & 0x400u); fraction <<= 1) {
      --exponent;
    }
  }
  return size ? sign | exponent << 23 | (fraction & 0x3FFu) << 13 : sign;
}

HWE_FN float hwe_from_half(hw_u16 half) { return hwe_float(hwe_half_bits(half)); }

// The nearest fp16, ties to even; beyond 65504 by half a step or more: infinity.
HWE_FN hw_u16 hwe_to_half(float value) {
  const hw_u32 bits = hwe_bits(value), size = bits & 0x7FFFFFFFu;
  const hw_u32 sign = bits >> 16 & 0x8000u;
  hw_u32 kept, rest, tie;
  if (size > 0x7F800000u) {
    return (hw_u16)(sign | 0x7E00u | (size >> 13 & 0x3FFu));
  }
  if (size >= 0x477FF000u) {
    return (hw_u16)(sign | 0x7C00u);
  }
  if (size <= 0x33000000u) {
    return (hw_u16)sign;  // at most half the least subnormal
  }
  if (size >= 0x38800000u) {
    kept = (size - 0x38000000u) >> 13;
    rest = size & 0x1FFFu;
    tie = 0x1000u;
  } else {
    const hw_u32 shift = 126u - (size >> 23), whole = (size & 0x7FFFFFu) | 0x800000u;
    kept = whole >> shift;
    tie = 1u << (shift - 1u);
    rest = whole & (2u * tie - 1u);
  }
  return (hw_u16)(sign | (kept + (rest > tie || (rest == tie && (kept & 1u)))));
}

HWE_FN int hwe_half_is_finite(hw_u16 half) { return (half & 0x7C00u) != 0x7C00u; }

HWE_FN int hwe_is_finite(float value) { return (hwe_bits(value) & 0x7F800000u) != 0x7F800000u; }

// NULL, or what is wrong with the calling thread's arithmetic [NUM-007]. The values are volatile so
// that the compiler computes none of them beforehand.
HWE_FN const char *hwe_environment(void) {
  volatile float least = hwe_float(0x00800000u), half = 0.5f, one = 1.0f, step = 0x1p-24f;
  volatile float subnormal = hwe_float(0x00000001u), large = 0x1p24f;
#if defined(__SSE__)
  const unsigned mxcsr = _mm_getcsr();
  if ((mxcsr & 0x1F80u) != 0x1F80u) {
    return "floating-point exceptions are unmasked (MXCSR bits 12:7)";
  }
#endif
  volatile float product = least * half;
  if (hwe_bits(product) != 0x00400000u) {
    return "subnormal results become 0 (FTZ, MXCSR bit 15)";
  }
  product = subnormal * large;
  if (product == 0.0f) {
    return "subnormal operands count as 0 (DAZ, MXCSR bit 6)";
  }
  volatile float up = one + step, down = -one - step, odd = one + 2.0f * step;
  volatile float even = odd + step;
  if (up != 1.0f || down != -1.0f || hwe_bits(even) != 0x3F800002u) {
    return "the rounding mode is not to nearest, ties to even (MXCSR bits 14:13)";
  }
  volatile float a = hwe_float(0x3F800001u), b = hwe_float(0x3F7FFFFEu);
  volatile float apart = a * b - one;  // 1 - 2^-46 or so: 0 only if the product was rounded
  if (apart != 0.0f) {
    return "products and sums are fused; build with -ffp-contract=off";
  }
  return NULL;
}

#endif  // HW_ENGINE_HALF_H
