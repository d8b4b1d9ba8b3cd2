"""A GGUF in llama.cpp, called through the C functions of its library: logits at every position, with keys and values in f32
and without flash attention, and a look at the operations while they run.

Its server rounds keys and values to f16 and shows log-probabilities of what it generates alone.
"""

import ctypes
import sys

import numpy
import xllamacpp


class ContextParams(ctypes.Structure):
    """`llama_context_params`, as far as it is set here; the rest is as the library fills it."""

    _fields_ = [
        *[(name, ctypes.c_uint32) for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max")],
        ("other", ctypes.c_uint32 * 9),
        ("flash_attention", ctypes.c_int32),
        ("rope", ctypes.c_uint32 * 8),
        ("callback", ctypes.c_void_p),
        ("callback_data", ctypes.c_void_p),
        ("type_k", ctypes.c_int32),
        ("type_v", ctypes.c_int32),
        ("rest", ctypes.c_byte * 400),
    ]


class ModelParams(ctypes.Structure):
    _fields_ = [("all", ctypes.c_byte * 512)]


class Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


class Tensor(ctypes.Structure):
    """The beginning of `ggml_tensor`."""


Tensor._fields_ = [
    ("type", ctypes.c_int32),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int32),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * 3),
]

Callback = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.POINTER(Tensor), ctypes.c_bool, ctypes.c_void_p)


def library():
    found = ctypes.CDLL(xllamacpp.xllamacpp.__file__)
    pointer = ctypes.c_void_p
    for name, result, arguments in [
        ("llama_model_default_params", ModelParams, []),
        ("llama_context_default_params", ContextParams, []),
        ("llama_model_load_from_file", pointer, [ctypes.c_char_p, ModelParams]),
        ("llama_init_from_model", pointer, [pointer, ContextParams]),
        ("llama_model_get_vocab", pointer, [pointer]),
        ("llama_vocab_n_tokens", ctypes.c_int32, [pointer]),
        ("llama_vocab_get_add_bos", ctypes.c_bool, [pointer]),
        ("llama_vocab_bos", ctypes.c_int32, [pointer]),
        (
            "llama_tokenize",
            ctypes.c_int32,
            [pointer, ctypes.c_char_p, ctypes.c_int32, pointer, ctypes.c_int32, ctypes.c_bool, ctypes.c_bool],
        ),
        ("llama_n_ctx", ctypes.c_uint32, [pointer]),
        ("llama_decode", ctypes.c_int32, [pointer, Batch]),
        ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [pointer, ctypes.c_int32]),
        ("llama_get_memory", pointer, [pointer]),
        ("llama_memory_clear", None, [pointer, ctypes.c_bool]),
        ("llama_free", None, [pointer]),
        ("llama_model_free", None, [pointer]),
        ("ggml_op_desc", ctypes.c_char_p, [ctypes.POINTER(Tensor)]),
        ("ggml_get_name", ctypes.c_char_p, [ctypes.POINTER(Tensor)]),
        ("ggml_nbytes", ctypes.c_size_t, [ctypes.POINTER(Tensor)]),
        ("ggml_backend_tensor_get", None, [ctypes.POINTER(Tensor), pointer, ctypes.c_size_t, ctypes.c_size_t]),
    ]:
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


class Llama:
    """A file, opened by llama.cpp with a context of `n_ctx` tokens. `observer`, if it is there, is asked about each operation
    before it runs (`wants`) and told of those it wants when they have run (`see`)."""

    def __init__(self, path, n_ctx, observer=None):
        self.lib = library()
        params = self.lib.llama_context_default_params()
        if (params.n_ctx, params.n_batch, params.type_k, params.type_v) != (512, 2048, 1, 1):
            sys.exit("llama_context_params has another layout in this version of llama.cpp")
        params.n_ctx = params.n_batch = params.n_ubatch = n_ctx
        params.type_k = params.type_v = params.flash_attention = 0
        if observer:
            # Kept as long as the context is.
            self.callback = Callback(lambda tensor, ask, _: observer.wants(self, tensor) if ask else observer.see(self, tensor))
            params.callback = ctypes.cast(self.callback, ctypes.c_void_p)
        self.model = self.lib.llama_model_load_from_file(str(path).encode(), self.lib.llama_model_default_params())
        self.context = self.lib.llama_init_from_model(self.model, params)
        self.vocab = self.lib.llama_model_get_vocab(self.model)
        self.n_vocab = self.lib.llama_vocab_n_tokens(self.vocab)
        if self.lib.llama_n_ctx(self.context) < n_ctx:
            sys.exit(f"llama.cpp gave {path} no context of {n_ctx} tokens")

    def close(self):
        self.lib.llama_free(self.context)
        self.lib.llama_model_free(self.model)

    def tokens(self, text):
        text = text.encode()
        ids = (ctypes.c_int32 * (len(text) + 8))()
        n_ids = self.lib.llama_tokenize(self.vocab, text, len(text), ids, len(ids), True, False)
        return list(ids[:n_ids])

    def bos(self):
        """The token that every chunk of a text begins with, or None."""
        return self.lib.llama_vocab_bos(self.vocab) if self.lib.llama_vocab_get_add_bos(self.vocab) else None

    def logits(self, ids, positions=None):
        """The logits after the ids at `positions`, by default at all, in f64; None without positions."""
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        sequence = (ctypes.c_int32 * 1)(0)
        batch = Batch(
            len(ids),
            (ctypes.c_int32 * len(ids))(*ids),
            None,
            (ctypes.c_int32 * len(ids))(*range(len(ids))),
            (ctypes.c_int32 * len(ids))(*[1] * len(ids)),
            (ctypes.POINTER(ctypes.c_int32) * len(ids))(
                *[ctypes.cast(sequence, ctypes.POINTER(ctypes.c_int32))] * len(ids)
            ),
            (ctypes.c_int8 * len(ids))(*[1] * len(ids)),
        )
        if self.lib.llama_decode(self.context, batch) != 0:
            sys.exit("llama.cpp could not run a chunk")
        rows = [
            numpy.ctypeslib.as_array(self.lib.llama_get_logits_ith(self.context, position), (self.n_vocab,)).copy()
            for position in (range(len(ids)) if positions is None else positions)
        ]
        return numpy.stack(rows).astype(numpy.float64) if rows else None

    def greedy(self, ids, n_tokens):
        """The likeliest tokens after the ids, and by how much each is likelier than the second."""
        tokens, margins = [], []
        for _ in range(n_tokens):
            logits = self.logits(ids + tokens, [len(ids) + len(tokens) - 1])[0]
            second, first = numpy.partition(logits, -2)[-2:]
            tokens.append(int(logits.argmax()))
            margins.append(first - second)
        return tokens, margins

    def values(self, tensor):
        """The bytes of a tensor."""
        buffer = (ctypes.c_byte * self.lib.ggml_nbytes(tensor))()
        self.lib.ggml_backend_tensor_get(tensor, buffer, 0, len(buffer))
        return bytes(buffer)


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))
