// SPDX-License-Identifier: Apache-2.0
//
// FastQueue as its parts see it: fast_submit.c, fast_take.c, and fast_queue.c with the type.
#ifndef HW_FAST_QUEUE_H
#define HW_FAST_QUEUE_H

#include "arrays.h"

#include "api.h"
#include "hw_desc.h"

// The longest batch for which the interpreter's lock is kept.
enum { FQ_MANY = 128 };
// The most arguments of a method.
enum { FQ_WORDS = 7 };

typedef struct fast_queue {
  PyObject_HEAD
  PyTypeObject *completion;
  PyObject *dtype;           // of a line
  hw_queue_t *queue;         // NULL: there is none, or it was closed
  PyObject *last;            // what the last call took, or NULL
  PyObject *held;            // list of (ring, lines or completion) that the next calls take first
  PyObject *under_way;       // not None: Python is moving lines out of a ring, or was interrupted
  double timeout_s;          // of a caller who gives none
  double piece_s;            // the longest wait that Python need not be asked about
  int last_ring;
  int split;                 // there is a reward ring
} fast_queue_t;

// Names of what the subclass has in Python, set when the module is loaded.
extern PyObject *fq_submit_slowly, *fq_submit_decode_slowly, *fq_next_slowly, *fq_poll_slowly;
extern PyObject *fq_user_data_name;

// A method of the subclass with the arguments as they came.
PyObject *fq_slowly(fast_queue_t *self, PyObject *method, PyObject *const *given,
                    Py_ssize_t positional, PyObject *names);

PyObject *fq_submit(fast_queue_t *self, PyObject *const *given, Py_ssize_t positional,
                    PyObject *names);
PyObject *fq_submit_decode(fast_queue_t *self, PyObject *const *given, Py_ssize_t positional,
                           PyObject *names);
PyObject *fq_next(fast_queue_t *self, PyObject *const *given, Py_ssize_t count);
PyObject *fq_poll(fast_queue_t *self, PyObject *const *given, Py_ssize_t count);
PyObject *fq_put_back(fast_queue_t *self, PyObject *none);

#endif  // HW_FAST_QUEUE_H
