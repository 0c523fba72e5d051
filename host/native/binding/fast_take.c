// SPDX-License-Identifier: Apache-2.0
//
// FastQueue: completions out of their rings.
#include "fast_queue.h"

enum { FIELDS = 13 };

// A completion as an object of `type`, a subclass of tuple: its fields in the contract's order.
static PyObject *as_tuple(PyTypeObject *type, const hw_desc_t *line) {
  const uint64_t fields[FIELDS] = {
      line->opcode,       line->flags,     line->rollout_id, line->kv_arena_id,
      line->prefix_id,    line->kv_offset, line->delta_offset, line->seq_len,
      line->max_tokens,   line->reward_model_id, line->reserved0, line->user_data,
      line->checksum_or_cookie,
  };
  PyObject *completion = type->tp_alloc(type, FIELDS);
  for (int at = 0; completion && at < FIELDS; ++at) {
    PyObject *value = PyLong_FromUnsignedLongLong(fields[at]);
    if (!value) {
      Py_CLEAR(completion);
    } else {
      PyTuple_SET_ITEM(completion, at, value);
    }
  }
  return completion;
}

// Whether the oldest completion lies in the ring itself, and nowhere else before it.
static int ring_is_next(fast_queue_t *self) {
  return self->queue && (!self->under_way || self->under_way == Py_None) &&
         (!self->held || PyList_GET_SIZE(self->held) == 0);
}

// A time in seconds that needs no conversion; 0 for anything else.
static int seconds(PyObject *object, double own, double *value) {
  if (object != Py_None && !PyFloat_CheckExact(object)) {
    return 0;
  }
  *value = object == Py_None ? own : PyFloat_AS_DOUBLE(object);
  return *value >= 0;
}

static PyObject *took(fast_queue_t *self, int ring, PyObject *what) {
  Py_XINCREF(what);
  self->last = what;
  self->last_ring = ring;
  return what;
}

PyObject *fq_next(fast_queue_t *self, PyObject *const *given, Py_ssize_t count) {
  double timeout_s;
  Py_CLEAR(self->last);
  if (count != 2 || !ring_is_next(self) || !seconds(given[0], self->timeout_s, &timeout_s)) {
    return fq_slowly(self, fq_next_slowly, given, count, NULL);
  }
  hw_queue_t *queue = self->queue;
  const int ring = given[1] == Py_True;
  hw_desc_t line;
  int64_t taken = hq_poll(queue, ring, &line, 1, 0);
  if (taken == 0 && timeout_s > 0) {
    const double piece_s = timeout_s < self->piece_s ? timeout_s : self->piece_s;
    // That begins with spinning, so a round trip is one call each way.
    Py_BEGIN_ALLOW_THREADS
    taken = hq_poll(queue, ring, &line, 1, (int64_t)(piece_s * 1e9));
    Py_END_ALLOW_THREADS
    if (taken == 0) {
      PyObject *left = PyFloat_FromDouble(timeout_s - piece_s);
      if (!left) {
        return NULL;
      }
      PyObject *const rest[2] = {left, given[1]};
      PyObject *answer = fq_slowly(self, fq_next_slowly, rest, 2, NULL);
      Py_DECREF(left);
      return answer;
    }
  }
  if (taken < 0) {
    return fq_slowly(self, fq_next_slowly, given, count, NULL);
  }
  if (taken == 0) {
    Py_RETURN_NONE;
  }
  return took(self, ring, as_tuple(self->completion, &line));
}

PyObject *fq_poll(fast_queue_t *self, PyObject *const *given, Py_ssize_t count) {
  double timeout_s;
  Py_CLEAR(self->last);
  const int ring = count == 4 && given[2] == Py_True;
  if (count != 4 || !ring_is_next(self) || !seconds(given[1], -1, &timeout_s) ||
      !PyLong_CheckExact(given[0]) || !(given[2] == Py_False || (ring && self->split))) {
    return fq_slowly(self, fq_poll_slowly, given, count, NULL);
  }
  hw_queue_t *queue = self->queue;
  long long max = PyLong_AsLongLong(given[0]);
  void *target = NULL;
  if (given[3] != Py_None) {
    Py_ssize_t room;
    target = ha_target(given[3], self->dtype, &room);
    if (!target) {
      return fq_slowly(self, fq_poll_slowly, given, count, NULL);
    }
    max = max < room ? max : room;
  }
  int64_t ready = hq_wait(queue, ring, 0);  // not hq_ready, which any thread may call and pays for it
  PyErr_Clear();
  if (max < 0 || ready < 0) {
    return fq_slowly(self, fq_poll_slowly, given, count, NULL);
  }
  if (ready == 0 && timeout_s > 0 && max > 0) {
    const double piece_s = timeout_s < self->piece_s ? timeout_s : self->piece_s;
    Py_BEGIN_ALLOW_THREADS
    ready = hq_wait(queue, ring, (int64_t)(piece_s * 1e9));
    Py_END_ALLOW_THREADS
    if (ready <= 0) {
      // Never 0, with which it would not look whether the device is gone.
      PyObject *left = PyFloat_FromDouble(timeout_s > piece_s ? timeout_s - piece_s : 1e-9);
      if (!left) {
        return NULL;
      }
      PyObject *const rest[4] = {given[0], left, given[2], given[3]};
      PyObject *answer = fq_slowly(self, fq_poll_slowly, rest, 4, NULL);
      Py_DECREF(left);
      return answer;
    }
  }
  if (ready > max) {
    ready = max;
  }
  void *lines;
  if (target && ready == 0) {
    return PySequence_GetSlice(given[3], 0, 0);
  }
  PyObject *array = ha_new(self->dtype, ready, &lines);
  if (!array || ready == 0) {
    return array;
  }
  int64_t taken;
  if (ready <= FQ_MANY) {
    taken = hq_poll(queue, ring, lines, (uint32_t)ready, 0);
  } else {
    Py_BEGIN_ALLOW_THREADS
    taken = hq_poll(queue, ring, lines, (uint32_t)ready, 0);
    Py_END_ALLOW_THREADS
  }
  if (taken < 0) {
    Py_DECREF(array);
    return fq_slowly(self, fq_poll_slowly, given, count, NULL);
  }
  if (taken < ready) {
    PyObject *whole = array;
    array = PySequence_GetSlice(whole, 0, taken);
    Py_DECREF(whole);
  }
  if (!target) {
    return took(self, ring, array);
  }
  // What was taken stays the queue's own until the caller has it, who may reuse `out`.
  memcpy(target, lines, (size_t)taken * HW_DESC_BYTES);
  self->last = array;
  self->last_ring = ring;
  return PySequence_GetSlice(given[3], 0, taken);
}

PyObject *fq_put_back(fast_queue_t *self, PyObject *Py_UNUSED(none)) {
  if (self->last && self->last != Py_None) {
    if (!self->held && !(self->held = PyList_New(0))) {
      return NULL;
    }
    PyObject *entry = Py_BuildValue("iO", self->last_ring, self->last);
    if (!entry || PyList_Insert(self->held, 0, entry)) {
      Py_XDECREF(entry);
      return NULL;
    }
    Py_DECREF(entry);
    Py_CLEAR(self->last);
  }
  Py_RETURN_NONE;
}
