// SPDX-License-Identifier: Apache-2.0
//
// Every interleaving of the slab: THREADS threads, SLOTS slots, and any sequence of operations of each
// (allocate; move, cancel or release the last rollout of any slot), switched at every access to shared
// memory. It is slab.c itself that runs, under sequential consistency; what orders the accesses on
// hardware is what the stress under ThreadSanitizer is for.
//
// An operation is a function of what its accesses returned. So a thread in the middle of one is the
// list of those results: to take one more step the operation runs from its start, its known accesses
// return from the list, and the next one happens. A state is kept as 128 bits of a hash.
//
// Checked at each step and at each end of an operation:
//   - a word changes along edges only, and its generation with DONE -> FREE only;
//   - a handle is given out once, and released once;
//   - a slot is on the free stack or not, never twice, and at rest just if it is FREE;
//   - an error is what the word that it was found from gives.
//
// Usage: explore OPERATIONS [THREADS SLOTS]. Exit code 0: all interleavings hold.
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t load(_Atomic uint64_t *word);
static int swap(_Atomic uint64_t *word, uint64_t *expected, uint64_t wanted);
static uint32_t load_link(_Atomic uint32_t *link);
static void store_link(_Atomic uint32_t *link, uint32_t slot);
#define HR_SLAB_ACCESS
#include "rollouts/slab.c"

enum { MAX_THREADS = 4, MAX_SLOTS = 3, MAX_STEPS = 24, KINDS = 4 };
enum { ALLOC, MOVE, CANCEL, RELEASE };

typedef struct thread {
  uint8_t left;   // operations after this one
  uint8_t kind;   // of the one in progress
  uint8_t steps;  // 0: none is
  uint64_t handle;
  uint64_t seen[MAX_STEPS];  // what its accesses returned
} thread_t;

typedef struct state {
  uint64_t head;
  uint64_t word[MAX_SLOTS];
  uint32_t next[MAX_SLOTS];
  uint64_t last[MAX_SLOTS];  // the last handle given out; 0: none yet
  uint8_t released[MAX_SLOTS];  // whether that one was
  thread_t thread[MAX_THREADS];
} state_t;

static int threads = 3, slots = 2;
static state_t now;
static thread_t *running;
static uint32_t at_step;
static jmp_buf out;
static hr_slab_t slab;

static void wrong(const char *what) {
  printf("WRONG: %s\n", what);
  for (int slot = 0; slot < slots; ++slot) {
    printf("  slot %d: word %016llx, next %x, last handle %llx\n", slot,
           (unsigned long long)now.word[slot], now.next[slot], (unsigned long long)now.last[slot]);
  }
  printf("  head %016llx\n", (unsigned long long)now.head);
  for (int thread = 0; thread < threads; ++thread) {
    const thread_t *shown = &now.thread[thread];
    printf("  thread %d: %d operations left, in %d at step %d, handle %llx\n", thread, shown->left,
           shown->kind, shown->steps, (unsigned long long)shown->handle);
  }
  exit(1);
}

// 1: this access is the step to take; 0: it is a known one, with what it returned.
static int is_new(uint64_t *known) {
  if (at_step < running->steps) {
    *known = running->seen[at_step++];
    return 0;
  }
  if (at_step > running->steps) {
    longjmp(out, 1);  // one step at a time
  }
  return 1;
}

static void saw(uint64_t value) {
  if (running->steps == MAX_STEPS) {
    wrong("an operation takes more steps than the checker has room for");
  }
  running->seen[running->steps++] = value;
  at_step = MAX_STEPS + 1u;
}

// The words and links of the slab lie in `now`; the head is a member of both.
static uint64_t *place_of(_Atomic uint64_t *word) {
  return word == &slab.head ? &now.head : (uint64_t *)word;
}

static uint64_t load(_Atomic uint64_t *word) {
  uint64_t known;
  if (is_new(&known)) {
    known = *place_of(word);
    saw(known);
  }
  return known;
}

static void check_word(uint64_t from, uint64_t to) {
  static const uint8_t edges[][2] = HWR_EDGES;
  const uint32_t was = hr_word_state(from), is = hr_word_state(to);
  int legal = is == HWR_STATE_DONE && was >= HWR_STATE_PREFILL_READY && was < HWR_STATE_DONE &&
              (to & 1u << HWR_WORD_CANCELLED_LSB);
  for (unsigned at = 0; at < sizeof edges / sizeof *edges; ++at) {
    legal |= edges[at][0] == was && edges[at][1] == is;
  }
  const uint32_t wanted = hr_generation(from) + (was == HWR_STATE_DONE);
  if (!legal || hr_generation(to) != wanted) {
    wrong("a word changed along no edge");
  }
}

static int swap(_Atomic uint64_t *word, uint64_t *expected, uint64_t wanted) {
  uint64_t known;
  if (is_new(&known)) {
    uint64_t *place = place_of(word);
    known = *place;
    if (known == *expected) {
      if (place != &now.head) {
        check_word(known, wanted);
      }
      *place = wanted;
    }
    saw(known);
  }
  // What was found, and whether it was what the swap wanted, are one: slab.c expects what it saw.
  const int done = known == *expected;
  *expected = known;
  return done;
}

static uint32_t load_link(_Atomic uint32_t *link) {
  uint64_t known;
  if (is_new(&known)) {
    known = *(uint32_t *)link;
    saw(known);
  }
  return (uint32_t)known;
}

static void store_link(_Atomic uint32_t *link, uint32_t slot) {
  uint64_t known;
  if (is_new(&known)) {
    *(uint32_t *)link = slot;
    saw(0);
  }
}

// How often a slot is on the stack; wrong if the stack has a cycle or leads nowhere.
static int on_stack(uint32_t slot) {
  int found = 0, length = 0;
  for (uint32_t at = (uint32_t)now.head; at != HWR_NONE; at = now.next[at]) {
    if (at >= (uint32_t)slots || ++length > slots) {
      wrong("the free stack has a slot twice, or one that does not exist");
    }
    found += at == slot;
  }
  return found;
}

static int call(thread_t *thread, uint64_t *handle) {
  switch (thread->kind) {
    case ALLOC: return hr_slab_alloc(&slab, NULL, handle);
    case MOVE:
      return hr_slab_move(&slab, thread->handle, (int)HWR_STATE_PREFILL_READY,
                          (int)HWR_STATE_DECODING);
    case CANCEL: return hr_slab_cancel(&slab, thread->handle);
    default: return hr_slab_release(&slab, NULL, thread->handle);
  }
}

// The first word of the slot that gives this error, looked for from the last access backwards.
static void check_error(const thread_t *thread, int error) {
  const uint64_t word = thread->seen[thread->steps - 1u];
  const uint32_t state = hr_word_state(word);
  const int other = hr_generation(word) != hr_generation(thread->handle);
  const int freed = state == HWR_STATE_FREE;
  int expected = other ? freed ? HR_E(FREED) : HR_E(REUSED)
                       : thread->kind == CANCEL ? HR_E(BAD_EDGE) : HR_E(WRONG_STATE);
  if (other && freed && hr_generation(word) != hr_generation(thread->handle) + 1u) {
    expected = HR_E(STALE);
  }
  if (error != expected) {
    wrong("an error that the word does not give");
  }
}

static void finish(thread_t *thread, int result, uint64_t handle) {
  const uint32_t slot = (uint32_t)(thread->kind == ALLOC ? handle : thread->handle);
  if (result && thread->kind == ALLOC) {
    if (result != HR_E(QUEUE_EMPTY) || (uint32_t)thread->seen[thread->steps - 1u] != HWR_NONE) {
      wrong("alloc failed, and the stack was not empty");
    }
  } else if (result) {
    check_error(thread, result);
  } else if (thread->kind == ALLOC) {
    if (now.last[slot] && (!now.released[slot] || now.last[slot] >= handle)) {
      wrong("a slot was given out twice");
    }
    now.last[slot] = handle;
    now.released[slot] = 0;
  } else if (thread->kind == RELEASE) {
    // Its slot may have been given out again, and then the ghost of its life is gone; handles rise.
    if (now.last[slot] == thread->handle) {
      if (now.released[slot]) {
        wrong("a rollout was released twice");
      }
      now.released[slot] = 1;
    }
  }
  memset(thread->seen, 0, sizeof thread->seen);
  thread->steps = thread->kind = 0;
  thread->handle = 0;
}

// One step of a thread, from its operation in progress or from the start of the given one.
static void take_step(int number, int kind, uint64_t target) {
  thread_t *thread = &now.thread[number];
  volatile int result = 1;
  uint64_t handle = 0;
  if (thread->steps == 0) {
    thread->kind = (uint8_t)kind;
    thread->handle = target;
    --thread->left;
  }
  running = thread;
  at_step = 0;
  if (setjmp(out) == 0) {
    result = call(thread, &handle);
  }
  if (result <= 0) {
    finish(thread, result, handle);
  }
  for (uint32_t slot = 0; slot < (uint32_t)slots; ++slot) {
    on_stack(slot);
  }
}

static void check_rest(void) {
  for (uint32_t slot = 0; slot < (uint32_t)slots; ++slot) {
    const int is_free = hr_word_state(now.word[slot]) == HWR_STATE_FREE;
    if (on_stack(slot) != is_free) {
      wrong("at rest a slot is on the free stack and not FREE, or FREE and not on it");
    }
  }
}

// Visited states, by open addressing.
static struct {
  uint64_t low, high;
} *visited;
static uint64_t visited_mask, visited_count;

static int by_bytes(const void *left, const void *right) {
  return memcmp(left, right, sizeof(thread_t));
}

static int is_first_visit(void) {
  state_t key = now;
  qsort(key.thread, (size_t)threads, sizeof key.thread[0], by_bytes);  // threads are alike
  const uint64_t *words = (const uint64_t *)(const void *)&key;
  uint64_t low = 0x9E3779B97F4A7C15ull, high = 0xC2B2AE3D27D4EB4Full;
  for (size_t at = 0; at < sizeof key / sizeof *words; ++at) {
    low = (low ^ words[at]) * 0xBF58476D1CE4E5B9ull;
    low ^= low >> 29;
    high = (high + words[at]) * 0x94D049BB133111EBull;
    high ^= high >> 31;
  }
  low |= 1u;
  for (uint64_t at = low & visited_mask;; at = (at + 1u) & visited_mask) {
    if (visited[at].low == 0) {
      visited[at].low = low;
      visited[at].high = high;
      if (++visited_count > visited_mask / 10 * 9) {
        wrong("more states than the checker has room for");
      }
      return 1;
    }
    if (visited[at].low == low && visited[at].high == high) {
      return 0;
    }
  }
}

static state_t *stack;
static size_t depth, room;

static void push_state(void) {
  if (depth == room) {
    room = room ? 2 * room : 1024;
    stack = realloc(stack, room * sizeof *stack);
    if (!stack) {
      fprintf(stderr, "explore: no memory for %zu states\n", room);
      exit(2);
    }
  }
  stack[depth++] = now;
}

int main(int count, char **arguments) {
  const int operations = count > 1 ? atoi(arguments[1]) : 0;
  threads = count > 2 ? atoi(arguments[2]) : threads;
  slots = count > 3 ? atoi(arguments[3]) : slots;
  if (operations < 1 || operations > 8 || threads < 1 || threads > MAX_THREADS || slots < 1 ||
      slots > MAX_SLOTS) {
    fprintf(stderr, "explore: expected OPERATIONS of 1 to 8, THREADS to %d, SLOTS to %d\n",
            MAX_THREADS, MAX_SLOTS);
    return 2;
  }
  visited_mask = (1u << 25) - 1u;
  visited = calloc(visited_mask + 1u, sizeof *visited);
  if (!visited) {
    fprintf(stderr, "explore: no memory\n");
    return 2;
  }
  slab.slots = (uint32_t)slots;
  slab.word = (_Atomic uint64_t *)now.word;
  slab.next = (_Atomic uint32_t *)now.next;
  memset(&now, 0, sizeof now);
  for (int slot = 0; slot < slots; ++slot) {
    now.word[slot] = hr_handle(1, HWR_STATE_FREE);
    now.next[slot] = slot + 1 < slots ? (uint32_t)slot + 1u : HWR_NONE;
  }
  for (int thread = 0; thread < threads; ++thread) {
    now.thread[thread].left = (uint8_t)operations;
  }
  is_first_visit();
  push_state();
  uint64_t steps = 0, ends = 0;
  while (depth) {
    const state_t from = stack[--depth];
    int stands = 1;
    for (int thread = 0; thread < threads; ++thread) {
      const int fresh = from.thread[thread].steps == 0;
      if (fresh && from.thread[thread].left == 0) {
        continue;
      }
      stands = 0;
      for (int kind = 0; kind < (fresh ? KINDS : 1); ++kind) {
        for (int slot = 0; slot < (fresh && kind != ALLOC ? slots : 1); ++slot) {
          if (fresh && kind != ALLOC && !from.last[slot]) {
            continue;
          }
          now = from;
          take_step(thread, kind, kind == ALLOC ? 0 : from.last[slot]);
          ++steps;
          if (is_first_visit()) {
            push_state();
          }
        }
      }
    }
    if (stands) {
      now = from;
      check_rest();
      ++ends;
    }
  }
  printf("explore: %d threads, %d slots, %d operations each: %llu states, %llu steps, %llu ends\n",
         threads, slots, operations, (unsigned long long)visited_count, (unsigned long long)steps,
         (unsigned long long)ends);
  return 0;
}
