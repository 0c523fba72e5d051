// SPDX-License-Identifier: Apache-2.0
//
// FastQueue: lines into the command ring.
#include "fast_queue.h"

enum { POSITIONAL = 6 };

// A plain int of at most `bits` bits; 0 with nothing raised if it is anything else.
static int word(PyObject *object, int bits, uint64_t *value) {
  if (!PyLong_CheckExact(object)) {
    return 0;
  }
  *value = PyLong_AsUnsignedLongLong(object);
  if (*value == UINT64_MAX && PyErr_Occurred()) {
    PyErr_Clear();
    return 0;
  }
  return bits == 64 || *value >> bits == 0;
}

// The arguments of submit_decode as words; 0 with nothing raised where that takes the slow way.
static int words_of(PyObject *const *given, Py_ssize_t positional, PyObject *names,
                    uint64_t words[FQ_WORDS]) {
  static const int bits[FQ_WORDS] = {32, 64, 64, 32, 32, 32, 64};
  const Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
  if (positional != POSITIONAL || named > 1 ||
      (named && PyTuple_GET_ITEM(names, 0) != fq_user_data_name)) {
    return 0;
  }
  for (int at = 0; at < POSITIONAL + named; ++at) {
    if (!word(given[at], bits[at], &words[at])) {
      return 0;
    }
  }
  if (!named) {
    words[FQ_WORDS - 1] = words[0];
  }
  return 1;
}

// Ask the subclass what a failure means: 0 with an exception, 1 where it is none any more.
static int complain(fast_queue_t *self, int failure) {
  PyObject *answer = PyObject_CallMethod((PyObject *)self, "_complain", "i", failure);
  Py_XDECREF(answer);
  return answer != NULL;
}

PyObject *fq_submit(fast_queue_t *self, PyObject *const *given, Py_ssize_t positional,
                    PyObject *names) {
  Py_ssize_t count;
  const void *lines;
  hw_queue_t *queue = self->queue;
  if (queue && positional == 1 && !names && (lines = ha_lines(given[0], self->dtype, &count)) &&
      count <= INT32_MAX) {
    int64_t taken;
    if (count <= FQ_MANY) {
      taken = hq_submit_all(queue, lines, (uint32_t)count);
    } else {
      Py_BEGIN_ALLOW_THREADS
      taken = hq_submit_all(queue, lines, (uint32_t)count);
      Py_END_ALLOW_THREADS
    }
    if (taken == count) {
      return PyLong_FromSsize_t(count);
    }
    if (taken < 0 && !complain(self, (int)taken)) {
      return NULL;
    }
  }
  return fq_slowly(self, fq_submit_slowly, given, positional, names);
}

PyObject *fq_submit_decode(fast_queue_t *self, PyObject *const *given, Py_ssize_t positional,
                           PyObject *names) {
  uint64_t words[FQ_WORDS];
  if (self->queue && words_of(given, positional, names, words)) {
    // Nothing in there waits, so the interpreter's lock is kept.
    const int taken =
        hq_submit_decode(self->queue, (uint32_t)words[0], words[1], words[2], (uint32_t)words[3],
                         (uint32_t)words[4], (uint32_t)words[5], words[6]);
    if (taken == 1) {
      return PyLong_FromUnsignedLong(hq_next_index(self->queue) - 1u);
    }
    if (taken < 0 && !complain(self, taken)) {
      return NULL;
    }
  }
  return fq_slowly(self, fq_submit_decode_slowly, given, positional, names);
}
