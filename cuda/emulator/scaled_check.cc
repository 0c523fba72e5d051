// SPDX-License-Identifier: Apache-2.0
//
// Whether a logit over a temperature is the rounded quotient, a distance in fixed point its floor, and
// a mass that of SAMP-003, for logits of every exponent and drawn temperatures: scaled_check SEED
// TEMPERATURES. Prints the first that is not and returns 1.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "logits.cuh"

namespace {

// One of each 1021 floats, beginning at another one each time.
enum : hw_u32 { STRIDE = 1021 };

bool is_quotient(float temperature, hw_u32 first) {
  hwe_row<32> row = {};
  row.temperature = temperature;
  row.per_temperature = 1.0f / temperature;
  for (hw_u64 at = first; at < 1ull << 32; at += STRIDE) {
    const float logit = __uint_as_float((hw_u32)at);
    if (!(std::fabs(logit) < 16777216.0f)) {
      continue;  // refused, or no number
    }
    const float expected = logit / temperature, found = hwe_scaled(row, logit);
    if (expected != found) {
      std::fprintf(stderr, "%a over %a: expected %a, got %a\n", logit, temperature, expected, found);
      return false;
    }
  }
  return true;
}

bool is_floor(hw_u32 first) {
  for (hw_u32 bits = first; __uint_as_float(bits) <= 41.0f; bits += STRIDE) {
    const double u = __uint_as_float(bits);
    const hw_u64 expected = (hw_u64)std::floor(std::ldexp(u, 32));
    if (hwe_fixed_point((float)u) != expected) {
      std::fprintf(stderr, "%a in fixed point: expected %llx, got %llx\n", u,
                   (unsigned long long)expected, (unsigned long long)hwe_fixed_point((float)u));
      return false;
    }
  }
  return true;
}

const hw_u32 COARSE[HWE_TABLE_ENTRIES] = HWE_EXP2_COARSE;
const hw_u32 FINE[HWE_TABLE_ENTRIES] = HWE_EXP2_FINE;

// By the words of the rule.
hw_u64 mass_of(float greatest, float logit, float temperature) {
  const float distance = greatest / temperature - logit / temperature;
  const float u = distance * HWE_FLOAT(LOG2_E);
  if (u >= 41.0f) {
    return 0;
  }
  const hw_u64 q = (hw_u64)std::floor(std::ldexp((double)u, 32)), n = (q + 0xFFFFFFFFu) >> 32;
  const hw_u64 f = (n << 32) - q;
  hw_u64 y = (hw_u64)COARSE[f >> 24] * FINE[f >> 16 & 255u] >> 31;
  y += y * ((hw_u64)HWE_LN2_FRACTION * (f & 0xFFFFu) >> 16) >> 47;
  return y << 9 >> n;
}

template <hw_u32 Spread>
bool is_mass(std::mt19937_64 &random, float temperature) {
  hw_u32 tables[2 * HWE_TABLE_ENTRIES << Spread];
  for (hw_u32 at = 0; at < 2 * HWE_TABLE_ENTRIES << Spread; ++at) {
    const hw_u32 entry = at >> Spread;
    tables[at] = entry < HWE_TABLE_ENTRIES ? COARSE[entry] : FINE[entry - HWE_TABLE_ENTRIES];
  }
  hwe_row<1024, Spread> row = {};
  row.tables = tables;
  row.temperature = temperature;
  row.per_temperature = 1.0f / temperature;
  std::uniform_real_distribution<float> above(0.0f, 44.0f), center(-30.0f, 30.0f);
  for (int at = 0; at < 100'000; ++at) {
    const float greatest = center(random) * temperature;
    const float logit = greatest - above(random) * temperature * 0.6931472f;
    row.thread = (hw_u32)at;
    row.greatest_scaled = greatest / temperature;
    const hw_u64 expected = mass_of(greatest, logit, temperature), found = hwe_mass(row, logit);
    if (expected != found) {
      std::fprintf(stderr, "mass of %a below %a at %a: expected %llu, got %llu\n", logit, greatest,
                   temperature, (unsigned long long)expected, (unsigned long long)found);
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int, char **arguments) {
  std::mt19937_64 random(std::strtoull(arguments[1], nullptr, 10));
  std::uniform_real_distribution<double> power(-10.0, 10.0);
  const int drawn = std::atoi(arguments[2]);
  bool good = is_floor((hw_u32)(random() % STRIDE));
  for (const float temperature : {1.0f, 0.7f, 3.0f, 0x1p-10f, 0x1p10f, 0x1.000002p0f, 0x1.fffffep9f}) {
    good = good && is_quotient(temperature, (hw_u32)(random() % STRIDE));
  }
  for (int at = 0; good && at < drawn; ++at) {
    const float temperature = (float)std::exp2(power(random));
    good = is_quotient(temperature, (hw_u32)(random() % STRIDE)) &&
           is_mass<0>(random, temperature) && is_mass<4>(random, temperature);
  }
  return good ? 0 : 1;
}
