// SPDX-License-Identifier: Apache-2.0
//
// What the rollout core offers to Python, by the rules of docs/rollout-contract.md: plain
// declarations that cffi reads, as those of ../api.h.
//
// hr_slab_* are the rollouts' state words, hr_memory_* mapped and verified memory, hr_arena_* the KV
// blocks in it, hr_tree_* shared prefixes and the branches that write behind them.

// What calls return instead of success, which is 0, is minus the number of an error of the contract,
// or one of these.
enum hr_error {
  HR_NO_MEMORY = -100,
  HR_TORN_TAG = -101,  // the K and the V of a slot carry different tags
  HR_TIMEOUT = -102,   // completions did not return in time
  HR_DEVICE = -200     // plus an enum hd_failure
};

// The state words [ROLL-001]. Any thread may make any of these calls but open and close.
typedef struct hr_slab hr_slab_t;
// Free slots that one thread keeps for itself, so that most of its calls touch no shared list.
typedef struct hr_slab_cache hr_slab_cache_t;

// NULL: no memory, or slots is not 1 to 2^24.
hr_slab_t *hr_slab_open(uint32_t slots);
void hr_slab_close(hr_slab_t *slab);
hr_slab_cache_t *hr_slab_cache_open(hr_slab_t *slab);
// Gives the slots that it holds back to the slab.
void hr_slab_cache_close(hr_slab_cache_t *cache);

// One edge [ROLL-003], a cancellation, a failure [ROLL-004].
int hr_slab_move(hr_slab_t *slab, uint64_t handle, int from, int to);
int hr_slab_cancel(hr_slab_t *slab, uint64_t handle);
int hr_slab_fail(hr_slab_t *slab, uint64_t handle);
// FREE -> PREFILL_READY of a slot that the slab picks, the last freed first: 0 with its handle, or
// QUEUE_EMPTY. Without a cache (NULL) the shared list alone is used; with one, a slot in another
// thread's cache is not free for this call. A slab has either a caller that picks slots and moves
// them itself, or callers of these two.
int hr_slab_alloc(hr_slab_t *slab, hr_slab_cache_t *cache, uint64_t *handle);
// DONE -> FREE, and back to those that can be picked.
int hr_slab_release(hr_slab_t *slab, hr_slab_cache_t *cache, uint64_t handle);
// The word of a slot as it is now; all ones beyond the slab.
uint64_t hr_slab_word(hr_slab_t *slab, uint32_t slot);

// Rungs of the memory ladder, from the best.
enum hr_pages { HR_PAGES_HUGETLB = 0, HR_PAGES_THP = 1, HR_PAGES_SMALL = 2, HR_PAGES_ANY = 3 };
enum hr_memory_error { HR_MEMORY_UNVERIFIED = -1 };  // it was granted, and smaps shows other pages

typedef struct hr_memory_report {
  uint64_t bytes;        // of the mapping
  uint64_t huge_bytes;   // of them in pages of 2 MiB, as /proc/self/smaps has it
  uint64_t small_bytes;  // and in small ones
  uint64_t node_pages;   // pages of 4 KiB asked about, and found on that node; 0 where node is -1
  uint64_t node_right;
  int pages;             // enum hr_pages: the rung that it stands on
  int node;              // bound to; -1: to none
  int error[3];          // by rung: 0: taken or not tried; else the errno, or HR_MEMORY_UNVERIFIED
} hr_memory_report_t;

// Map so many bytes of zeroes, rounded up to 2 MiB, populated. `require` is the only rung allowed,
// HR_PAGES_ANY for the best there is; with a node, 0 to 1023, every page must be on it. NULL with
// the reason as text of at most `size` bytes.
void *hr_memory_map(uint64_t bytes, int require, int node, hr_memory_report_t *report, char *text,
                    uint32_t size);
// As hr_memory_map gave it.
void hr_memory_unmap(void *memory, uint64_t bytes);

// Blocks of KV memory [KV-001]. One thread at a time.
typedef struct hr_arena hr_arena_t;

// block_bytes: 16384, or another multiple of 512 for tests: the K of token t stands at
// t * block_bytes / 64 and its V half a block behind. `memory` of blocks * block_bytes bytes outlives
// the arena; NULL: blocks are counted and have no tags. NULL: no memory, or a number out of range.
hr_arena_t *hr_arena_open(uint32_t blocks, uint32_t block_bytes, void *memory);
void hr_arena_close(hr_arena_t *arena);
// Allocate the lowest free block that no reservation claims, free, reserve [KV-002 to KV-004].
int hr_arena_alloc(hr_arena_t *arena, uint64_t *handle);
int hr_arena_release(hr_arena_t *arena, uint64_t handle);
int hr_arena_reserve(hr_arena_t *arena, uint32_t blocks);
int hr_arena_unreserve(hr_arena_t *arena, uint32_t blocks);
uint32_t hr_arena_in_use(const hr_arena_t *arena);
uint32_t hr_arena_reserved(const hr_arena_t *arena);
uint32_t hr_arena_available(const hr_arena_t *arena);
// The tag of one slot, in its K and in its V: 0, BAD_BLOCK, BAD_LENGTH (token 32 or more), the
// errors of hr_arena_release, HR_TORN_TAG; HR_NO_MEMORY where the arena has none.
int hr_arena_write_tag(hr_arena_t *arena, uint64_t handle, uint32_t token, uint64_t tag);
int hr_arena_read_tag(const hr_arena_t *arena, uint64_t handle, uint32_t token, uint64_t *tag);

// Prefixes and branches [COW-001 to COW-009]. One thread at a time; the arena outlives it.
typedef struct hr_tree hr_tree_t;

typedef struct hr_released {
  uint32_t freed;  // blocks of the branch that were freed
  uint32_t left;   // of its reservation, given back
} hr_released_t;

typedef struct hr_place {
  uint32_t block;   // that the branch's next token goes to; 2^32 - 1: it is at its last length
  uint32_t source;  // block whose first tokens were copied into it
  uint32_t copied;  // how many; 0: none
} hr_place_t;

// Ids of nodes are 1..nodes, of branches 0..branches-1. NULL: no memory, or not 1 to 2^24 of both.
hr_tree_t *hr_tree_open(hr_arena_t *arena, uint32_t nodes, uint32_t branches);
void hr_tree_close(hr_tree_t *tree);
int hr_tree_node(hr_tree_t *tree, uint32_t parent, uint32_t tokens, uint32_t *node);
int hr_tree_fork(hr_tree_t *tree, uint32_t node, uint32_t max_tokens, uint32_t *branch);
int hr_tree_release(hr_tree_t *tree, uint32_t branch, hr_released_t *released);
// Free the idle node of the lowest id: 1 with its id and how many blocks it had; 0: none is idle.
int hr_tree_sweep(hr_tree_t *tree, uint32_t *node, uint32_t *blocks);
// Write the tags base + p of the tokens p of a node's own part.
int hr_tree_fill(hr_tree_t *tree, uint32_t node, uint64_t base);
// The block of the branch's next token, allocated and copied where it is missing [COW-006].
int hr_tree_prepare(hr_tree_t *tree, uint32_t branch, hr_place_t *place);
// Write the tags base + p of `tokens` tokens from `position` on, which must be the branch's length
// [COW-007].
int hr_tree_write(hr_tree_t *tree, uint32_t branch, uint32_t position, uint32_t tokens,
                  uint64_t base);
// The digest of KV-008; HR_NO_MEMORY where the arena has none.
int hr_tree_digest(const hr_tree_t *tree, uint32_t branch, uint64_t *digest);
// Tokens and count of a node; length and own blocks of a branch. All ones: no such.
uint32_t hr_tree_node_tokens(const hr_tree_t *tree, uint32_t node);
uint32_t hr_tree_node_count(const hr_tree_t *tree, uint32_t node);
uint32_t hr_tree_branch_length(const hr_tree_t *tree, uint32_t branch);
uint32_t hr_tree_branch_blocks(const hr_tree_t *tree, uint32_t branch);

// A queue in the order of a policy [SCHED-001 to SCHED-004]. One thread at a time.
typedef struct hr_policy hr_policy_t;

// Entries are 0..room-1, groups 0..groups-1. NULL: no memory, or a number out of range.
hr_policy_t *hr_policy_open(uint32_t policy, uint32_t overtake, uint32_t room, uint32_t groups);
void hr_policy_close(hr_policy_t *queue);
// 0; BAD_SLOT: no such entry or group; QUEUE_FULL: it is in already. `rank` is for CUSTOM.
int hr_policy_push(hr_policy_t *queue, uint32_t entry, uint32_t group, uint32_t remaining,
                   int64_t rank);
// The next entry, 2^32 - 1: none; the same, which leaves; and any one, which leaves: QUEUE_EMPTY if it
// is not there.
uint32_t hr_policy_next(const hr_policy_t *queue);
int hr_policy_pop(hr_policy_t *queue, uint32_t *entry);
int hr_policy_remove(hr_policy_t *queue, uint32_t entry);
uint32_t hr_policy_count(const hr_policy_t *queue);
int hr_policy_contains(const hr_policy_t *queue, uint32_t entry);
// Of the oldest entry, as SCHED-004 counts them; 0 without one.
int64_t hr_policy_overtakes(const hr_policy_t *queue);

// A run of requests in logical time [PIPE-001 to PIPE-013]. No device is in here: a step takes the
// completions and scores that are due, and leaves the lines and score requests of its own tick.
// One thread at a time.
typedef struct hr_pipe hr_pipe_t;

typedef struct hr_score {
  uint32_t request;
  uint32_t length;  // tokens that the score is of
  uint32_t final;
} hr_score_t;

typedef struct hr_usage {
  uint32_t blocks;
  uint32_t reserved;
  uint32_t decode;
  uint32_t reward;
  uint32_t trajectory;
  uint32_t live;  // slots that are not FREE
  uint32_t nodes;
  uint32_t in_flight;  // lines that were not consumed
  uint32_t taken;      // of them, those that hr_pipe_run holds, before or behind the device
  uint32_t queue[6];
} hr_usage_t;

typedef struct hr_bad_completion {
  uint32_t window;
  uint32_t index;
  uint32_t member;   // 0: the result (seq_len, and flags in the upper half of got); 1: user_data,
                     // 2: opcode, 3: rollout_id, 4: max_tokens, 5: how many completions
  uint64_t expected;
  uint64_t got;
} hr_bad_completion_t;

// config: hwr_config_t, requests: count of hwr_request_t, checked by the caller [PIPE-001]; both are
// copied. `memory`: kv_blocks * 16384 bytes that outlive the run, or NULL: with CHECK_KV the run has
// tags of its own. keep_log 0: events are counted, and overwritten with every step. NULL with
// BAD_CONFIG or NO_MEMORY in *error.
hr_pipe_t *hr_pipe_open(const void *config, const void *requests, uint32_t count, void *memory,
                        int keep_log, int *error);
void hr_pipe_close(hr_pipe_t *pipe);
// What the next step consumes.
void hr_pipe_due(const hr_pipe_t *pipe, uint32_t *lines, uint32_t *scores);
// One tick: 0, BAD_COMPLETION (nothing has changed, see hr_pipe_bad), STALLED, HR_NO_MEMORY. Scores are
// as many as are due; NULL where that batch has failed.
int hr_pipe_step(hr_pipe_t *pipe, const void *completions, uint32_t count, const uint32_t *scores);
// The last tick's window, of hw_desc_t, and its score requests; until the next step.
const void *hr_pipe_lines(const hr_pipe_t *pipe, uint32_t *count);
const hr_score_t *hr_pipe_batch(const hr_pipe_t *pipe, uint32_t *count);
int hr_pipe_finished(const hr_pipe_t *pipe);
uint32_t hr_pipe_tick(const hr_pipe_t *pipe);
void hr_pipe_usage(const hr_pipe_t *pipe, hr_usage_t *usage);
void hr_pipe_bad(const hr_pipe_t *pipe, hr_bad_completion_t *bad);
// All events so far, of hwr_record_t; until the next step.
const void *hr_pipe_log(const hr_pipe_t *pipe, uint64_t *count);
// Events so far.
uint64_t hr_pipe_events(const hr_pipe_t *pipe);
// Counters and gauges as of the last tick's end [MET-001]: HWR_COUNTER_WORDS and HWR_GAUGE_WORDS words.
void hr_pipe_counters(const hr_pipe_t *pipe, uint64_t *counters);
void hr_pipe_gauges(const hr_pipe_t *pipe, uint64_t *gauges);
// From now on every tick ends with its gauges and counters in this live page [MET-005], whose head
// is the caller's, and which outlives the run; NULL: no longer.
void hr_pipe_show(hr_pipe_t *pipe, void *page);
// Trace events of this run from now on, into a ring of the caller's with its head set [TRC-003], which
// outlives the run; NULL: no longer. hr_pipe_run notes what it submits and takes; whoever steps the
// run notes it with hr_pipe_note: an event for each of `count` hw_desc_t. hr_stamp: the clock of it all.
void hr_pipe_trace(hr_pipe_t *pipe, void *ring);
void hr_pipe_note(const hr_pipe_t *pipe, uint32_t event, const void *lines, uint32_t count);
uint64_t hr_stamp(void);
// Cancel a request with the next tick, as if its `cancel` had been that from the start: 0, or
// BAD_REQUEST. One that has ended, or is cancelled earlier, stays as it is.
int hr_pipe_cancel(hr_pipe_t *pipe, uint32_t request);
// End every live rollout as cancelled, whatever is in flight [PIPE-013].
void hr_pipe_abandon(hr_pipe_t *pipe);
// At most `ticks` ticks over a queue with one completion ring that nobody else uses, with scorers 0 to
// 2: 0 where all have run or the run has ended; an error of hr_pipe_step; HD_REFUSED, HD_GONE,
// HD_CLOSED, HD_CORRUPT as HR_DEVICE plus these; HR_TIMEOUT. After the last ones and a device that works
// again the same call goes on, with nothing lost.
int hr_pipe_run(hr_pipe_t *pipe, hw_queue_t *queue, uint64_t ticks, int64_t patience_ns);
