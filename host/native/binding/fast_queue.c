// SPDX-License-Identifier: Apache-2.0
//
// descring_host._fast_queue.FastQueue: the base of the queue's class. What a queue on a native device
// does with lines, where nothing stands in the way, without Python in between.
//
// What cffi offers for any function (fetching each argument, saving errno, letting the
// interpreter's lock go and taking it again), and a frame of Python around it, cost several times
// what a line does. These methods know the common case only: a native queue, plain arguments, room
// for all, and a wait of one piece. Everything else is left to methods that the subclass has in
// Python, `_submit_slowly`, `_submit_decode_slowly`, `_next_slowly` and `_poll_slowly`; what a
// negative result of the native core means, to its `_complain`.
//
// What was taken and what was submitted stands in the rings' indices and nowhere else. A signal's
// handler may raise when a method here has returned and before its caller has the result. So `last`
// keeps what was taken until the next call, and `_put_back`, which the caller of `_next` and `_poll`
// calls at an exception, moves it to `held`, from where the next call takes it.
#include "arrays.h"

#include <structmember.h>

#include "api.h"
#include "hw_desc.h"

enum { FIELDS = 13, POSITIONAL = 6, WORDS = 7, MANY = 128 };

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

static PyObject *submit_slowly, *submit_decode_slowly, *next_slowly, *poll_slowly, *user_data_name;

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
                    uint64_t words[WORDS]) {
  static const int bits[WORDS] = {32, 64, 64, 32, 32, 32, 64};
  const Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
  if (positional != POSITIONAL || named > 1 ||
      (named && PyTuple_GET_ITEM(names, 0) != user_data_name)) {
    return 0;
  }
  for (int at = 0; at < POSITIONAL + named; ++at) {
    if (!word(given[at], bits[at], &words[at])) {
      return 0;
    }
  }
  if (!named) {
    words[WORDS - 1] = words[0];
  }
  return 1;
}

// A method of the subclass with the arguments as they came.
static PyObject *slowly(fast_queue_t *self, PyObject *method, PyObject *const *given,
                        Py_ssize_t positional, PyObject *names) {
  PyObject *all[1 + 2 * WORDS];
  const Py_ssize_t count = positional + (names ? PyTuple_GET_SIZE(names) : 0);
  if (count > 2 * WORDS) {
    return PyErr_Format(PyExc_TypeError, "expected at most %d arguments, got %zd", WORDS, count);
  }
  all[0] = (PyObject *)self;
  for (Py_ssize_t at = 0; at < count; ++at) {
    all[1 + at] = given[at];
  }
  return PyObject_VectorcallMethod(method, all, (size_t)positional + 1, names);
}

PyDoc_STRVAR(
    submit_doc,
    "submit($self, /, lines, *, timeout_s=None)\n--\n\n"
    "Write lines into the command ring: one tail store and one doorbell a batch.\n\n"
    "A signal handler that raises may do so when lines are in already; :attr:`next_index` says how\n"
    "many are.\n\n"
    "Args:\n"
    "    lines: submissions, ``(n,)`` of DESC_DTYPE or ``(n, 64)`` uint8; their bytes are taken as\n"
    "        they are.\n"
    "    timeout_s: how long ``\"block\"`` waits for room; default: the queue's.\n\n"
    "Returns:\n"
    "    How many were taken in; fewer than given only with ``\"short\"``.\n\n"
    "Raises:\n"
    "    ValueError: another shape or dtype, or scattered memory; nothing was submitted.\n"
    "    QueueFull: with ``\"raise\"`` and not room for all; nothing was submitted.\n"
    "    QueueTimeout: with ``\"block\"``; the text says how many went in before.\n"
    "    PeerDied: the process behind the device is gone.\n"
    "    DeviceClosed: the queue or its device is closed, or belongs to another process.\n"
    "    DeviceError: the device refused the doorbell.");

// Ask the subclass what a failure means: 0 with an exception, 1 where it is none any more.
static int complain(fast_queue_t *self, int failure) {
  PyObject *answer = PyObject_CallMethod((PyObject *)self, "_complain", "i", failure);
  Py_XDECREF(answer);
  return answer != NULL;
}

static PyObject *submit(fast_queue_t *self, PyObject *const *given, Py_ssize_t positional,
                        PyObject *names) {
  Py_ssize_t count;
  const void *lines;
  hw_queue_t *queue = self->queue;
  if (queue && positional == 1 && !names && (lines = ha_lines(given[0], self->dtype, &count)) &&
      count <= INT32_MAX) {
    int64_t taken;
    if (count <= MANY) {
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
  return slowly(self, submit_slowly, given, positional, names);
}

PyDoc_STRVAR(
    submit_decode_doc,
    "submit_decode($self, /, rollout_id, kv_offset, delta_offset, prefix_id, seq_len, max_tokens, "
    "*, user_data=None)\n--\n\n"
    "Submit one DECODE line [DESC-024]; its cookie is the reference host's [DESC-021].\n\n"
    "Args:\n"
    "    rollout_id: u32.\n"
    "    kv_offset: u64.\n"
    "    delta_offset: u64.\n"
    "    prefix_id: u32; 0 is none, else COW_PREFIX is set.\n"
    "    seq_len: tokens present, u32.\n"
    "    max_tokens: sequence length at which decoding ends, u32.\n"
    "    user_data: u64, echoed; default: rollout_id.\n\n"
    "Returns:\n"
    "    The ring index of the line; None with ``\"short\"`` where there is no room.\n\n"
    "Raises:\n"
    "    ValueError: a value that is no integer, or does not fit; nothing was submitted.\n"
    "    QueueFull, QueueTimeout, PeerDied, DeviceError: as :meth:`submit`.");

static PyObject *submit_decode(fast_queue_t *self, PyObject *const *given, Py_ssize_t positional,
                               PyObject *names) {
  uint64_t words[WORDS];
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
  return slowly(self, submit_decode_slowly, given, positional, names);
}

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

PyDoc_STRVAR(next_doc,
             "_next($self, timeout_s, ring, /)\n--\n\n"
             "One completion of a ring as an object; None if none came in time. At an exception, "
             "whoever raised it, the caller calls _put_back().");

static PyObject *next(fast_queue_t *self, PyObject *const *given, Py_ssize_t count) {
  double timeout_s;
  Py_CLEAR(self->last);
  if (count != 2 || !ring_is_next(self) || !seconds(given[0], self->timeout_s, &timeout_s)) {
    return slowly(self, next_slowly, given, count, NULL);
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
      PyObject *answer = slowly(self, next_slowly, rest, 2, NULL);
      Py_DECREF(left);
      return answer;
    }
  }
  if (taken < 0) {
    return slowly(self, next_slowly, given, count, NULL);
  }
  if (taken == 0) {
    Py_RETURN_NONE;
  }
  return took(self, ring, as_tuple(self->completion, &line));
}

PyDoc_STRVAR(poll_doc,
             "_poll($self, max_lines, timeout_s, reward, out, /)\n--\n\n"
             "Completions of a ring as an array. At an exception, whoever raised it, the caller "
             "calls _put_back().");

static PyObject *poll(fast_queue_t *self, PyObject *const *given, Py_ssize_t count) {
  double timeout_s;
  Py_CLEAR(self->last);
  const int ring = count == 4 && given[2] == Py_True;
  if (count != 4 || !ring_is_next(self) || !seconds(given[1], -1, &timeout_s) ||
      !PyLong_CheckExact(given[0]) || !(given[2] == Py_False || (ring && self->split))) {
    return slowly(self, poll_slowly, given, count, NULL);
  }
  hw_queue_t *queue = self->queue;
  long long max = PyLong_AsLongLong(given[0]);
  void *target = NULL;
  if (given[3] != Py_None) {
    Py_ssize_t room;
    target = ha_target(given[3], self->dtype, &room);
    if (!target) {
      return slowly(self, poll_slowly, given, count, NULL);
    }
    max = max < room ? max : room;
  }
  int64_t ready = hq_wait(queue, ring, 0);  // not hq_ready, which any thread may call and pays for it
  PyErr_Clear();
  if (max < 0 || ready < 0) {
    return slowly(self, poll_slowly, given, count, NULL);
  }
  if (ready == 0 && timeout_s > 0 && max > 0) {
    const double piece_s = timeout_s < self->piece_s ? timeout_s : self->piece_s;
    Py_BEGIN_ALLOW_THREADS
    ready = hq_wait(queue, ring, (int64_t)(piece_s * 1e9));
    Py_END_ALLOW_THREADS
    if (ready <= 0) {
      PyObject *left = PyFloat_FromDouble(timeout_s - piece_s);
      if (!left) {
        return NULL;
      }
      PyObject *const rest[4] = {given[0], left, given[2], given[3]};
      PyObject *answer = slowly(self, poll_slowly, rest, 4, NULL);
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
  if (ready <= MANY) {
    taken = hq_poll(queue, ring, lines, (uint32_t)ready, 0);
  } else {
    Py_BEGIN_ALLOW_THREADS
    taken = hq_poll(queue, ring, lines, (uint32_t)ready, 0);
    Py_END_ALLOW_THREADS
  }
  if (taken < 0) {
    Py_DECREF(array);
    return slowly(self, poll_slowly, given, count, NULL);
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

PyDoc_STRVAR(put_back_doc,
             "_put_back($self, /)\n--\n\n"
             "Hold what the last call took, for its caller has not got it: an exception came first.");

static PyObject *put_back(fast_queue_t *self, PyObject *Py_UNUSED(none)) {
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

PyDoc_STRVAR(bind_doc,
             "_bind($self, queue, completion, dtype, split, piece_s, /)\n--\n\n"
             "Serve this native queue (its address; 0: none, or no longer), make completions of "
             "this subclass of tuple and arrays of this dtype, and wait at most so long before "
             "asking Python.");

static PyObject *bind(fast_queue_t *self, PyObject *args) {
  PyObject *address, *dtype;
  PyTypeObject *completion;
  int split;
  double piece_s;
  if (!PyArg_ParseTuple(args, "O!O!Opd:_bind", &PyLong_Type, &address, &PyType_Type, &completion,
                        &dtype, &split, &piece_s)) {
    return NULL;
  }
  if (!PyType_IsSubtype(completion, &PyTuple_Type)) {
    return PyErr_Format(PyExc_TypeError, "expected a subclass of tuple, got %s",
                        completion->tp_name);
  }
  hw_queue_t *queue = PyLong_AsVoidPtr(address);
  if (PyErr_Occurred() || ha_check(dtype)) {
    return NULL;
  }
  Py_INCREF(completion);
  Py_XSETREF(self->completion, completion);
  Py_INCREF(dtype);
  Py_XSETREF(self->dtype, dtype);
  self->queue = queue;
  self->split = split;
  self->piece_s = piece_s;
  Py_RETURN_NONE;
}

static void dealloc(fast_queue_t *self) {
  PyTypeObject *type = Py_TYPE(self);
  Py_CLEAR(self->completion);
  Py_CLEAR(self->dtype);
  Py_CLEAR(self->last);
  Py_CLEAR(self->held);
  Py_CLEAR(self->under_way);
  type->tp_free(self);
  Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"submit", (PyCFunction)(void (*)(void))submit, METH_FASTCALL | METH_KEYWORDS, submit_doc},
    {"submit_decode", (PyCFunction)(void (*)(void))submit_decode, METH_FASTCALL | METH_KEYWORDS,
     submit_decode_doc},
    {"_next", (PyCFunction)(void (*)(void))next, METH_FASTCALL, next_doc},
    {"_poll", (PyCFunction)(void (*)(void))poll, METH_FASTCALL, poll_doc},
    {"_put_back", (PyCFunction)put_back, METH_NOARGS, put_back_doc},
    {"_bind", (PyCFunction)bind, METH_VARARGS, bind_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"timeout_s", T_DOUBLE, offsetof(fast_queue_t, timeout_s), 0,
     "How long blocking calls wait unless told otherwise."},
    {"_last", T_OBJECT, offsetof(fast_queue_t, last), 0, "What the last call took."},
    {"_last_ring", T_INT, offsetof(fast_queue_t, last_ring), 0, "The ring it was taken from."},
    {"_held", T_OBJECT, offsetof(fast_queue_t, held), 0, "What the next calls take first."},
    {"_under_way", T_OBJECT, offsetof(fast_queue_t, under_way), 0,
     "What Python is moving out of the rings."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "What a queue on a native device does without Python in between."},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_dealloc, dealloc},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "descring_host._fast_queue.FastQueue",
    .basicsize = sizeof(fast_queue_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

static int fill(PyObject *module) {
  submit_slowly = PyUnicode_InternFromString("_submit_slowly");
  submit_decode_slowly = PyUnicode_InternFromString("_submit_decode_slowly");
  next_slowly = PyUnicode_InternFromString("_next_slowly");
  poll_slowly = PyUnicode_InternFromString("_poll_slowly");
  user_data_name = PyUnicode_InternFromString("user_data");
  if (!submit_slowly || !submit_decode_slowly || !next_slowly || !poll_slowly ||
      !user_data_name || ha_import()) {
    return -1;
  }
  PyObject *type = PyType_FromSpec(&spec);
  if (!type) {
    return -1;
  }
  const int failed = PyModule_AddObjectRef(module, "FastQueue", type);
  Py_DECREF(type);
  return failed;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "descring_host._fast_queue",
    .m_doc = "Lines in, completions out.",
    .m_slots = module_slots,
};

// In the library of descring_host._native, so that both see the same queues.
PyMODINIT_FUNC PyInit__fast_queue(void) { return PyModuleDef_Init(&definition); }
