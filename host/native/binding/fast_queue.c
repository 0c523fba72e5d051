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
#include "fast_queue.h"

#include <structmember.h>

PyObject *fq_submit_slowly, *fq_submit_decode_slowly, *fq_next_slowly, *fq_poll_slowly;
PyObject *fq_user_data_name;

PyObject *fq_slowly(fast_queue_t *self, PyObject *method, PyObject *const *given,
                    Py_ssize_t positional, PyObject *names) {
  PyObject *all[1 + 2 * FQ_WORDS];
  const Py_ssize_t count = positional + (names ? PyTuple_GET_SIZE(names) : 0);
  if (count > 2 * FQ_WORDS) {
    return PyErr_Format(PyExc_TypeError, "expected at most %d arguments, got %zd", FQ_WORDS, count);
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

PyDoc_STRVAR(next_doc,
             "_next($self, timeout_s, ring, /)\n--\n\n"
             "One completion of a ring as an object; None if none came in time. At an exception, "
             "whoever raised it, the caller calls _put_back().");

PyDoc_STRVAR(poll_doc,
             "_poll($self, max_lines, timeout_s, reward, out, /)\n--\n\n"
             "Completions of a ring as an array. At an exception, whoever raised it, the caller "
             "calls _put_back().");

PyDoc_STRVAR(put_back_doc,
             "_put_back($self, /)\n--\n\n"
             "Hold what the last call took, for its caller has not got it: an exception came first.");

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
    {"submit", (PyCFunction)(void (*)(void))fq_submit, METH_FASTCALL | METH_KEYWORDS, submit_doc},
    {"submit_decode", (PyCFunction)(void (*)(void))fq_submit_decode, METH_FASTCALL | METH_KEYWORDS,
     submit_decode_doc},
    {"_next", (PyCFunction)(void (*)(void))fq_next, METH_FASTCALL, next_doc},
    {"_poll", (PyCFunction)(void (*)(void))fq_poll, METH_FASTCALL, poll_doc},
    {"_put_back", (PyCFunction)fq_put_back, METH_NOARGS, put_back_doc},
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
  fq_submit_slowly = PyUnicode_InternFromString("_submit_slowly");
  fq_submit_decode_slowly = PyUnicode_InternFromString("_submit_decode_slowly");
  fq_next_slowly = PyUnicode_InternFromString("_next_slowly");
  fq_poll_slowly = PyUnicode_InternFromString("_poll_slowly");
  fq_user_data_name = PyUnicode_InternFromString("user_data");
  if (!fq_submit_slowly || !fq_submit_decode_slowly || !fq_next_slowly || !fq_poll_slowly ||
      !fq_user_data_name || ha_import()) {
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
