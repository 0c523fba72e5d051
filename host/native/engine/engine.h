// SPDX-License-Identifier: Apache-2.0
//
// What the native engine offers to Python, by the rules of docs/engine-contract.md: plain
// declarations that cffi reads, as those of ../api.h. Lengths of arrays are in elements; fp16 values
// are their 16 bits.

typedef struct he_engine he_engine_t;

enum he_kernels { HE_KERNELS_BEST = 0, HE_KERNELS_SCALAR = 1, HE_KERNELS_AVX2 = 2 };

enum he_error {
  HE_NO_MEMORY = -1,
  HE_NO_KERNELS = -2,     // this processor has not got them
  HE_RANGE = -3,          // an argument out of range
  HE_MISALIGNED = -4,     // the arena does not begin at a multiple of 64
  HE_ENVIRONMENT = -5     // of the calling thread: he_environment
};

// NULL, or what is wrong with the calling thread's floating-point arithmetic.
const char *he_environment(void);

// 1 to 131072 tokens. NULL with an he_error.
he_engine_t *he_open(uint32_t vocabulary, int kernels, int *error);
// Nobody may be inside a call.
void he_close(he_engine_t *engine);
const char *he_kernels_name(const he_engine_t *engine);

// Advance each record to its end with up to `threads` threads [REC-003]; statuses are HWE_STATUS_*.
// No record is given twice. 0, or an he_error with nothing done.
int he_advance(he_engine_t *engine, void *arena, uint64_t arena_bytes, const uint64_t *records,
               const uint32_t *ends, uint32_t *statuses, uint32_t count, uint32_t threads);

// The output of attention over `tokens` >= 1 tokens in the blocks of a map, the slot bias left out
// unless `biased`; runs of 2^split blocks are reduced on their own first, the last one first. A
// HWE_STATUS_*, or an he_error.
int he_attend(he_engine_t *engine, const void *arena, uint64_t arena_bytes, const uint32_t *map,
              uint32_t tokens, const uint16_t *query, int biased, uint32_t split, float *output);

// Parts, with the engine's kernels. Vectors of 128. An he_error, or how many elements the rule of
// NUM-007 refuses as 0 or not.
void he_input(const he_engine_t *engine, uint32_t token, uint32_t position, float *x);
int he_next_state(const he_engine_t *engine, const float *state, const float *x, float *next);
void he_query(const he_engine_t *engine, const float *state, float *query);
void he_key_value(const he_engine_t *engine, const float *x, uint16_t *key, uint16_t *value);
void he_logits(const he_engine_t *engine, const uint16_t *output, float *logits);
// As `he_advance` does it, of `vocabulary` logits; one random number [SAMP-001 to SAMP-005].
void he_masses(const he_engine_t *engine, const float *logits, float temperature,
               uint64_t *masses);
int he_sample(he_engine_t *engine, const float *logits, float temperature, uint32_t top_k,
              float top_p, uint64_t random, uint32_t *token);

// Functions of the contract, element by element; the conversions by the engine's kernels and, where
// `engine` is NULL, in integers.
int he_to_half(const he_engine_t *engine, const float *in, uint32_t count, uint16_t *out);
void he_from_half(const uint16_t *in, uint32_t count, float *out);
void he_exp2(const float *in, uint32_t count, float *out);
void he_silu(const float *in, uint32_t count, float *out);
// A row of a plane, by the plane's number; weights by remainder: 0 W_in, 1 W_res, 2 W_q, whole.
int he_plane(uint32_t plane, uint32_t row, float *out);
int he_ramp(uint32_t ramp, uint16_t *out);
uint64_t he_philox(uint64_t seed, const uint32_t *counter);
void he_xoshiro(uint64_t seed, uint32_t count, uint64_t *out);
