// SPDX-License-Identifier: Apache-2.0
//
// Draws a token from a row of logits [SAMP-001..SAMP-006]: a warp for a small vocabulary, a block for a
// large one. From the masses on everything is an integer, so that the order of the sums, of histograms
// by atomic additions too, changes nothing.
#ifndef HW_SAMPLING_CUH
#define HW_SAMPLING_CUH

#include "logits.cuh"

// Tokens that are kept: those with a greater key, and the first `ties` with this one.
struct hwe_cut {
  hw_u32 key;
  hw_u32 ties;
};

// The greatest logit in the total order: its id, and the logit.
template <typename Row>
HW_DEV hw_u32 hwe_greatest(Row &row) {
  hw_u64 best = 0;
  row.template each<true>([&](hw_u32 id, float logit) {
    const hw_u64 own = (hw_u64)hwe_key(logit) << 32 | (0xFFFFFFFFu - id);
    best = own > best ? own : best;
  });
  HW_UNROLL
  for (int step = 16; step; step >>= 1) {
    const hw_u64 other = __shfl_xor_sync(HW_ALL_LANES, best, step);
    best = other > best ? other : best;
  }
  if (Row::warps > 1) {
    row.sync();
    if (row.thread % 32 == 0) {
      row.shared->of_warp[row.thread / 32] = best;
    }
    row.sync();
    HW_ONE_BY_ONE
    for (hw_u32 warp = 0; warp < Row::warps; ++warp) {
      const hw_u64 other = row.shared->of_warp[warp];
      best = other > best ? other : best;
    }
  }
  row.greatest = hwe_logit_of((hw_u32)(best >> 32));
  return 0xFFFFFFFFu - (hw_u32)best;
}

// Bins in the order of the logits, the greatest first: a 20th of all are one log2 unit.
template <typename Row>
HW_DEV hw_u32 hwe_bin(const Row &row, float logit) {
  const float place = __fmul_rn(__fsub_rn(row.greatest, logit), row.bin_scale);
  return (hw_u32)min(place, (float)(Row::bins - 1u));
}

template <typename Row>
HW_DEV void hwe_clear(const Row &row) {
  row.sync();
  HW_ONE_BY_ONE
  for (hw_u32 bin = row.thread; bin < Row::bins; bin += Row::threads) {
    row.shared->mass[bin] = 0;
    row.shared->count[bin] = 0;
  }
  row.sync();
}

// The first bin up to whose end there is `target` of mass or tokens; *above: what is before it. All
// threads look together, the first warp's lanes at neighbouring bins.
template <bool ByMass, typename Row>
HW_DEV hw_u32 hwe_find_bin(const Row &row, hw_u64 target, hw_u64 *above) {
  enum : hw_u32 { Each = Row::bins / 32 };
  row.sync();
  if (row.thread < 32) {
    hw_u64 own = 0;
    HW_ONE_BY_ONE
    for (hw_u32 at = 0; at < Each; ++at) {
      const hw_u32 bin = row.thread * Each + at;
      own += ByMass ? row.shared->mass[bin] : row.shared->count[bin];
    }
    const hw_u64 until = hwe_warp_scan(own, row.thread);
    hw_u64 before = *above + (until - own);
    if (before < target && *above + until >= target) {
      hw_u32 bin = row.thread * Each;
      HW_ONE_BY_ONE
      for (;; ++bin) {
        const hw_u64 in_bin = ByMass ? row.shared->mass[bin] : row.shared->count[bin];
        if (before + in_bin >= target) {
          break;
        }
        before += in_bin;
      }
      row.shared->found = bin;
      row.shared->of_warp[0] = before;
    }
  }
  row.sync();
  *above = row.shared->of_warp[0];
  return (hw_u32)row.shared->found;
}

// Put what `kept` keeps into bins by `bin_of`, which gives Row::bins for what belongs in none.
template <typename Row, typename BinOf>
HW_DEV void hwe_fill(const Row &row, const hwe_cut &kept, BinOf bin_of, bool masses) {
  hwe_clear(row);
  hw_u32 last_count = 0;  // the last bin has most of what there is: it is added up apart
  hw_u64 last_mass = 0;
  row.template each<(Row::warps > 1)>([&](hw_u32, float logit) {
    if (hwe_key(logit) > kept.key) {
      const hw_u32 bin = bin_of(logit);
      if (bin == Row::bins - 1u) {
        ++last_count;
        last_mass += masses ? hwe_mass(row, logit) : 0;
      } else if (bin < Row::bins) {
        atomicAdd(&row.shared->count[bin], 1u);
        if (masses) {
          atomicAdd(&row.shared->mass[bin], hwe_mass(row, logit));
        }
      }
    }
  });
  last_count = __reduce_add_sync(HW_ALL_LANES, last_count);
  last_mass = hwe_warp_sum(last_mass);
  if (row.thread % 32 == 0) {
    atomicAdd(&row.shared->count[Row::bins - 1u], last_count);
    atomicAdd(&row.shared->mass[Row::bins - 1u], last_mass);
  }
  if (row.thread == 0 && kept.ties) {
    const float logit = hwe_logit_of(kept.key);
    const hw_u32 bin = bin_of(logit);
    if (bin < Row::bins) {
      atomicAdd(&row.shared->count[bin], kept.ties);
      atomicAdd(&row.shared->mass[bin], kept.ties * hwe_mass(row, logit));
    }
  }
  row.sync();
}

// The shortest prefix of the total order of what `kept` keeps with `target` of mass or tokens. The bins
// hold what `kept` keeps.
template <bool ByMass, typename Row>
HW_DEV hwe_cut hwe_shorten(const Row &row, const hwe_cut &kept, hw_u64 target) {
  enum : hw_u32 { Bits = Row::bins == 128 ? 7 : 8 };
  hw_u64 above = 0;
  const hw_u32 coarse = hwe_find_bin<ByMass>(row, target, &above);
  hw_u32 key = 0;
  HW_ONE_BY_ONE
  for (hw_u32 shift = 32; shift;) {
    const hw_u32 bits = min(shift, Bits + 0u);
    const hw_u32 known = shift;  // bits below it are still to be found
    shift -= bits;
    hwe_fill(
        row, kept,
        [&](float logit) {
          const hw_u32 own = hwe_key(logit);
          const bool same = known == 32 || own >> (known & 31u) == key >> (known & 31u);
          const hw_u32 digit = own >> shift & ((1u << bits) - 1u);
          return same && hwe_bin(row, logit) == coarse ? (1u << bits) - 1u - digit
                                                       : (hw_u32)Row::bins;
        },
        ByMass);
    const hw_u32 digit = (1u << bits) - 1u - hwe_find_bin<ByMass>(row, target, &above);
    key |= digit << shift;
  }
  const hw_u64 each = ByMass ? hwe_mass(row, hwe_logit_of(key)) : 1u;
  return hwe_cut{key, (hw_u32)((target - above + each - 1u) / each)};
}

// ceil(a b / 2^32) for a <= 2^32.
HW_DEV hw_u64 hwe_share(hw_u64 a, hw_u64 b) {
  const hw_u64 high = __umul64hi(a, b), low = a * b;
  return (high << 32 | low >> 32) + ((low & 0xFFFFFFFFu) != 0);
}

// What top_k and top_p keep [SAMP-002] [SAMP-004].
template <typename Row>
HW_DEV hwe_cut hwe_keep(const Row &row, hw_u32 top_k, float top_p) {
  hwe_cut kept = {0, 0};
  if (top_k == 0 || top_k >= row.vocabulary) {
    top_k = 0;
    if (top_p >= 1.0f) {
      return kept;
    }
  }
  const auto bin_of = [&](float logit) { return hwe_bin(row, logit); };
  hwe_fill(row, kept, bin_of, top_k == 0);
  if (top_k) {
    kept = hwe_shorten<false>(row, kept, top_k);
    if (top_p >= 1.0f) {
      return kept;
    }
    hwe_fill(row, kept, bin_of, true);
  }
  hw_u64 mass = 0;
  HW_ONE_BY_ONE
  for (hw_u32 bin = 0; bin < Row::bins; ++bin) {
    mass += row.shared->mass[bin];
  }
  const hw_u64 share = (hw_u64)__fmul_rn(top_p, 4294967296.0f);
  return hwe_shorten<true>(row, kept, hwe_share(share, mass));
}

// The sum of what the warps before this one have in `of_warp`, and in *whole that of all.
template <typename Row, typename T>
HW_DEV T hwe_before_warp(const Row &row, const T *of_warp, T *whole) {
  T before = 0;
  *whole = 0;
  HW_ONE_BY_ONE
  for (hw_u32 warp = 0; warp < Row::warps; ++warp) {
    const T own = of_warp[warp];
    before += warp < row.thread / 32 ? own : 0;
    *whole += own;
  }
  return before;
}

// A stretch of a row that is kept, read from its front by all threads: what lies before it.
struct hwe_front {
  hw_u64 mass;
  hw_u32 ties;  // that may still be kept
};

// The token at which the running mass exceeds `mark`, if it is among the next ids from `base` on, four a
// thread; then `found` has it. Else *front moves behind them.
template <typename Row>
HW_DEV bool hwe_pick_here(const Row &row, const hwe_cut &kept, hw_u64 each, hw_u64 mark,
                          hw_u32 base, hw_u32 until, hwe_front *front) {
  const hw_u32 lane = row.thread % 32, warp = row.thread / 32, id = base + 4u * row.thread;
  hw_u64 part[4] = {0, 0, 0, 0};
  hw_u32 ties = 0;
  bool tied[4];
  const float4 four = id < until ? row.four(id) : float4{};
  const float logit[4] = {four.x, four.y, four.z, four.w};
  HW_UNROLL
  for (hw_u32 at = 0; at < 4; ++at) {
    const hw_u32 key = hwe_key(logit[at]);
    const bool is = id + at < until;
    part[at] = is && key > kept.key ? hwe_mass(row, logit[at]) : 0;
    tied[at] = is && key == kept.key;
    ties += tied[at];
  }
  if (kept.ties) {  // the first of them count
    const hw_u32 ties_until = hwe_warp_scan(ties, lane);
    row.sync();
    if (lane == 31) {
      row.shared->ties_of_warp[warp] = ties_until;
    }
    row.sync();
    hw_u32 whole;
    hw_u32 rank = hwe_before_warp(row, row.shared->ties_of_warp, &whole) + (ties_until - ties);
    HW_UNROLL
    for (hw_u32 at = 0; at < 4; ++at) {
      part[at] = tied[at] ? (rank++ < front->ties ? each : 0) : part[at];
    }
    front->ties -= min(front->ties, whole);
  }
  const hw_u64 here = part[0] + part[1] + part[2] + part[3];
  const hw_u64 sum = hwe_warp_scan(here, lane);
  row.sync();
  if (lane == 31) {
    row.shared->of_warp[warp] = sum;
  }
  row.sync();
  hw_u64 whole;
  hw_u64 running = front->mass + hwe_before_warp(row, row.shared->of_warp, &whole) + (sum - here);
  if (mark >= running && mark - running < here) {
    hw_u32 at = 0;
    for (running += part[0]; running <= mark;) {
      running += part[++at];
    }
    row.shared->found = id + at;
  }
  const bool is_here = mark - front->mass < whole;
  front->mass += whole;
  return is_here;
}

// The first token in the order of ids at which the running mass exceeds its part by `random` [SAMP-005].
template <typename Row>
HW_DEV hw_u32 hwe_pick(const Row &row, const hwe_cut &kept, hw_u64 random) {
  hw_u64 mass = 0;
  hw_u32 ties = 0;
  if (kept.key == 0) {  // all are kept
    row.template each<true>([&](hw_u32, float logit) { mass += hwe_mass(row, logit); });
  } else {
    row.template each<(Row::warps > 1)>([&](hw_u32, float logit) {
      const hw_u32 key = hwe_key(logit);
      mass += key > kept.key ? hwe_mass(row, logit) : 0;
      ties += key == kept.key;
    });
  }
  mass = hwe_warp_sum(mass);
  ties = __reduce_add_sync(HW_ALL_LANES, ties);
  row.sync();
  if (row.thread % 32 == 0) {
    row.shared->of_warp[row.thread / 32] = mass;
    row.shared->ties_of_warp[row.thread / 32] = ties;
  }
  row.sync();
  const hw_u64 each = kept.ties ? hwe_mass(row, hwe_logit_of(kept.key)) : 0;
  hw_u64 total = kept.ties * each;
  HW_ONE_BY_ONE
  for (hw_u32 warp = 0; warp < Row::warps; ++warp) {
    total += row.shared->of_warp[warp];
  }
  const hw_u64 mark = __umul64hi(random, total);
  // The warp whose stretch it is in: all threads work on that stretch then.
  hwe_front front = {0, kept.ties};
  hw_u32 warp = 0;
  HW_ONE_BY_ONE
  for (;; ++warp) {
    const hw_u32 used = min(front.ties, row.shared->ties_of_warp[warp]);
    const hw_u64 own = row.shared->of_warp[warp] + used * each;
    if (warp + 1u == Row::warps || mark - front.mass < own) {
      break;
    }
    front.mass += own;
    front.ties -= used;
  }
  const hw_u32 until = row.last_id(warp);
  HW_ONE_BY_ONE
  for (hw_u32 base = row.first_id(warp);
       base < until && !hwe_pick_here(row, kept, each, mark, base, until, &front);
       base += 4u * Row::threads) {
  }
  row.sync();
  return (hw_u32)row.shared->found;
}

// Philox4x32-10: the two words of a token's random number [SAMP-006].
HW_DEV hw_u64 hwe_random(hw_u64 seed, hw_u32 position, hw_u32 sample, hw_u32 group, hw_u32 stream) {
  hw_u32 c0 = position, c1 = sample, c2 = group, c3 = stream;
  hw_u32 k0 = (hw_u32)seed, k1 = (hw_u32)(seed >> 32);
  for (hw_u32 round = 0; round < HWE_PHILOX_ROUNDS; ++round) {
    const hw_u32 high0 = __umulhi(HWE_PHILOX_M0, c0), low0 = HWE_PHILOX_M0 * c0;
    const hw_u32 high1 = __umulhi(HWE_PHILOX_M1, c2), low1 = HWE_PHILOX_M1 * c2;
    c0 = high1 ^ c1 ^ k0, c1 = low1, c2 = high0 ^ c3 ^ k1, c3 = low0;
    k0 += HWE_PHILOX_W0, k1 += HWE_PHILOX_W1;
  }
  return c0 | (hw_u64)c1 << 32;
}

// Token `position` of a rollout, from its logits.
template <typename Row>
HW_DEV hw_u32 hwe_sample(Row &row, const hwe_rollout_t &rollout, hw_u32 position) {
  const hw_u32 best = hwe_greatest(row);
  if (rollout.temperature == 0.0f) {
    return best;
  }
  row.temperature = rollout.temperature;
  row.per_temperature = __fdiv_rn(1.0f, row.temperature);
  row.greatest_scaled = __fdiv_rn(row.greatest, row.temperature);
  row.bin_scale = __fmul_rn((float)(Row::bins / 20u),
                            __fdiv_rn(HWE_FLOAT(LOG2_E), row.temperature));
  const hwe_cut kept = hwe_keep(row, rollout.top_k, rollout.top_p);
  return hwe_pick(row, kept,
                  hwe_random(rollout.seed, position, rollout.sample, rollout.group,
                             HWE_STREAM_SAMPLING));
}

#endif  // HW_SAMPLING_CUH
