// SPDX-License-Identifier: Apache-2.0
//
// What the C parts of the labs share: variants by name, and two loops that run at the same time on two
// CPUs. A run that another program disturbed is repeated, judged by context switches and overlap alone,
// never by its value.
#ifndef LAB_H
#define LAB_H

#include <pthread.h>
#include <stdint.h>

#include "bench.h"

enum { LAB_NOT_OBSERVABLE = 3, LAB_DISTURBED_MOST = 400 };

// A measurement in ns of a turn, or below 0: disturbed, to be repeated.
typedef struct lab_variant {
  const char *name;
  double (*measure)(void);
} lab_variant_t;

// Measure the variants that the arguments name, in their order, and print a line NAME VALUE for each.
int lab_main(int count, char **arguments, const lab_variant_t *variants, int known);

// End with exit code 3: this machine cannot show the effect.
void lab_not_observable(const char *reason) __attribute__((noreturn));

// Start `body` on the second CPU; this thread runs on the first one from now on.
pthread_t lab_start(void *(*body)(void *), void *argument);

typedef void lab_loop_t(void *argument, uint64_t turns);

// ns of a turn of `first` on the first CPU and of `second` on the second one, which start together: the
// mean of both; below 0 if either was interrupted or they ran less than 4/5 of their time together.
double lab_together(lab_loop_t *first, void *for_first, lab_loop_t *second, void *for_second,
                    uint64_t turns);

// ns of a turn of `loop` on the first CPU; below 0 if it was interrupted.
double lab_alone(lab_loop_t *loop, void *argument, uint64_t turns);

// ns of a line through the product's queue and back, so many a doorbell, the worker on the second CPU:
// the fastest of a few passes. In lab_queue.c, which takes the product.
double lab_queue(uint32_t batch);

#endif  // LAB_H
