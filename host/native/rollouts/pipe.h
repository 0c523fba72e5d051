// SPDX-License-Identifier: Apache-2.0
//
// The pipeline's state. held.c moves rollouts among states and gives what they hold; pipe.c is the
// phases of a tick; window.c its lines; run.c drives them over a queue.
#ifndef HR_PIPE_H
#define HR_PIPE_H

#include "hw_trace.h"
#include "rollouts/policy.h"
#include "rollouts/slab.h"
#include "rollouts/tree.h"

enum { HR_EMPTY, HR_FILLING, HR_READY };  // a node's prompt, hr_node_t.filling
enum { HR_UNFINISHED, HR_DELIVERED, HR_ENDED_CANCELLED, HR_ENDED_FAILED, HR_OUTCOMES };
enum { HR_IN_SERVICE = 6, HR_LISTS = 7 };  // hr_rollout_t.queue beyond the six queues

typedef struct hr_rollout {
  uint64_t handle;
  uint32_t request;
  uint32_t node;
  uint32_t branch;
  uint32_t length;
  uint32_t max_tokens;
  uint32_t older;  // neighbours in its queue, or in its score batch
  uint32_t newer;
  uint32_t version;
  uint32_t step;
  uint32_t score;
  uint8_t queue;
  uint8_t final;  // its last leg has returned
  uint8_t marked;
} hr_rollout_t;

typedef struct hr_list {
  uint32_t oldest;
  uint32_t newest;
  uint32_t count;
} hr_list_t;

typedef struct hr_credits {
  uint32_t limit;
  uint32_t used;
} hr_credits_t;

enum { HR_DECODE, HR_REWARD, HR_TRAJECTORY, HR_STAGES };

// Of the training steps: as many can be in use as there are requests, for each has one seat at most.
typedef struct hr_seats {
  uint32_t *taken;
  uint32_t *delivered;
  uint32_t version;
  uint32_t first_open;  // the lowest step with a free seat
} hr_seats_t;

typedef struct hr_flight {
  hw_desc_t *lines;
  uint32_t *slot;
  uint32_t window;
  uint32_t count;  // 0: none is in flight
} hr_flight_t;

struct hr_pipe {
  hwr_config_t config;
  hwr_request_t *request;
  uint32_t requests;
  int share;

  hr_slab_t *slab;
  hr_arena_t *arena;
  hr_tree_t *tree;
  void *tags;  // of its own; NULL: the caller's, or none
  hr_rollout_t *rollout;  // by slot
  hr_list_t list[HWR_QUEUE_DONE + 1u];  // by queue, but decode
  hr_policy_t decode;
  hr_policy_t waiting;
  hr_credits_t credits[HR_STAGES];
  hr_seats_t seats;
  uint32_t first_pending;  // in trajectory, the oldest that is still REWARD_PENDING

  uint32_t *group;      // by request, numbered from 0
  uint32_t *node_of;    // by prefix; 0: none
  uint32_t *prefix_of;  // by node
  uint32_t *slot_of;    // by request; HWR_NONE: not live
  uint8_t *outcome;     // by request
  uint32_t *arrivals;   // requests in the order of PIPE-008, and of PIPE-007
  uint32_t *cancellations;
  uint32_t arrived;
  uint32_t cancels;
  uint32_t cancelled;
  uint32_t ended[HR_OUTCOMES];
  uint32_t live;   // slots that are not FREE
  uint32_t nodes;

  hr_flight_t flight[HWR_DEPTH_MAX];   // by tick modulo depth
  hr_list_t batch[HWR_DEPTH_MAX];      // by tick modulo score_ticks
  hr_flight_t *window;                 // of the last tick
  hr_score_t *scores;
  uint32_t score_count;
  hw_desc_t *returned;  // of run.c: completions of the window that is due, and scores
  uint32_t returned_count;
  uint32_t unsent;  // lines of the last tick's window that are not submitted yet
  uint32_t *words;
  uint32_t windows_out;
  uint32_t batches_out;
  uint32_t in_flight;
  uint32_t next_window;

  uint32_t tick;
  int finished;
  int error;  // the first that a tick has found; it holds
  hr_bad_completion_t bad;

  hwr_record_t *log;
  uint64_t log_count;
  uint64_t log_room;
  uint64_t events_before;  // events that the log no longer has
  int keep_log;

  uint32_t in_state[HWR_STATE_DONE + 1u];  // slots by state
  hw_trace_ring_t *trace;  // of the thread that runs the ticks; NULL: off
  uint8_t *page;  // the live page of MET-005; NULL: nobody looks
  // By HWR_COUNTER_...; the thread that runs the ticks writes it, and no other data is in its lines
  // [MET-004].
  _Alignas(HW_CACHE_LINE_BYTES) uint64_t counter[HWR_COUNTER_WORDS];
};

static inline int hr_option(const hr_pipe_t *pipe, uint32_t option) {
  return (pipe->config.options & option) != 0;
}

// The counter of what has just happened [MET-001].
#define HR_COUNT(pipe, name) ((void)++(pipe)->counter[HWR_COUNTER_##name])

static inline void hr_trace(const hr_pipe_t *pipe, uint32_t event, const hr_rollout_t *rollout,
                            uint32_t leg, uint32_t detail) {
  if (pipe->trace) {
    hw_trace(pipe->trace, event, rollout->request, leg, detail, HWR_CLOCK_HOST, 0);
  }
}

// live.c: gauges and counters to the live page, at the end of a tick.
void hr_publish(const hr_pipe_t *pipe);

// Room for one more event; 0, recorded: no memory.
int hr_log_room(hr_pipe_t *pipe);

static inline void hr_log(hr_pipe_t *pipe, uint32_t event, uint32_t slot, uint32_t request,
                          uint32_t a, uint32_t b, uint32_t c, uint64_t d) {
  if (pipe->log_count < pipe->log_room || hr_log_room(pipe)) {
    pipe->log[pipe->log_count++] = (hwr_record_t){
        pipe->tick, (uint16_t)event, (uint16_t)slot, request, a, b, c, d};
  }
}

static inline uint32_t hr_slot(const hr_rollout_t *rollout) { return (uint32_t)rollout->handle; }

static inline uint32_t hr_state_of(const hr_pipe_t *pipe, const hr_rollout_t *rollout) {
  return hr_word_state(atomic_load_explicit(&pipe->slab->word[hr_slot(rollout)],
                                            memory_order_relaxed));
}

// Queues of slots [PIPE-003]; a slot is in one at most.
void hr_queue_push(hr_pipe_t *pipe, uint32_t queue, uint32_t slot);
void hr_queue_remove(hr_pipe_t *pipe, uint32_t slot);
void hr_list_push(hr_pipe_t *pipe, hr_list_t *list, uint32_t slot);
void hr_list_remove(hr_pipe_t *pipe, hr_list_t *list, uint32_t slot);
void hr_to_decode(hr_pipe_t *pipe, hr_rollout_t *rollout);

static inline uint32_t hr_queue_count(const hr_pipe_t *pipe, uint32_t queue) {
  return queue == HWR_QUEUE_DECODE ? pipe->decode.count : pipe->list[queue].count;
}

static inline int hr_credit_free(const hr_credits_t *credits) {
  return credits->limit == HWR_NONE || credits->used < credits->limit;
}

// The one change of a rollout's state [PIPE-004], its end [PIPE-012], and the end of its slot's life.
void hr_move(hr_pipe_t *pipe, hr_rollout_t *rollout, uint32_t to);
void hr_end(hr_pipe_t *pipe, hr_rollout_t *rollout, int outcome);
void hr_recycle(hr_pipe_t *pipe, hr_rollout_t *rollout);
// The counter of what the request lacks to be admitted [MET-002]; HWR_NONE: nothing.
uint32_t hr_lacks(const hr_pipe_t *pipe, uint32_t request);
hr_rollout_t *hr_admit(hr_pipe_t *pipe, uint32_t request);
// A delivered rollout's seat stays taken; the versions that this completes are logged [PIPE-010].
void hr_seat_delivered(hr_pipe_t *pipe, uint32_t step);

// One line of the tick's window, which has room [WIN-004].
void hr_draft(hr_pipe_t *pipe, hr_rollout_t *rollout, uint32_t opcode, uint32_t length,
              uint32_t end, uint32_t block);
void hr_close_window(hr_pipe_t *pipe);
// An event of each line, where there is a trace.
void hr_note_lines(const hr_pipe_t *pipe, uint32_t event, const hw_desc_t *lines, uint32_t count);
// 0, or BAD_COMPLETION, described in pipe->bad [WIN-005].
int hr_check_window(hr_pipe_t *pipe, const hr_flight_t *flight, const hw_desc_t *completions,
                    uint32_t count);

#endif  // HR_PIPE_H
