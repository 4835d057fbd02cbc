"""Dense elimination of conductance matrices in compiled code: SciPy's BLAS called by address, pivots by row sums.

A conductance matrix W is symmetric with entries >= 0 between distinct nodes; its Laplacian has -W off the diagonal and
the row sums of W on it. Elimination of node k turns w_ij into w_ij + w_ik w_jk / d_k with d_k = sum_j w_jk over the
nodes not yet eliminated (Grassmann, Taksar and Heyman 1985). Nothing is ever subtracted, so every entry and pivot
keeps a relative error of a few units of rounding whatever the contrast of the conductances (O'Cinneide 1993).

BLAS reaches compiled code through symbols that are given SciPy's addresses when this module is imported; a function
that calls them can be cached, which one that holds the addresses as constants cannot.
"""

from __future__ import annotations

import ctypes
from threading import Lock
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import scipy.linalg.cython_blas
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic

__all__ = [
    "BLOCK",
    "ONE_BLAS_THREAD",
    "add_outer_product",
    "all_resistances",
    "eliminate",
    "eliminate_first",
    "memory",
    "substitute_backward",
    "substitute_forward",
]

BLOCK = 8  # right-hand sides that are solved at once: two or one registers of a vector unit
PANEL = 32  # columns that are eliminated one by one between matrix products
STRIP = 128  # columns of a symmetric product that are computed as one rectangle
FEW_ROWS = 96  # below this many rows a panel is not worth a call of dtrsm

for _name in ("dgemm", "dtrsm"):
    llvm.add_symbol(f"linkways_{_name}", get_cython_function_address("scipy.linalg.cython_blas", _name))


class _OneBlasThread:
    """While any block ``with`` it runs, SciPy's BLAS uses one thread, where it is an OpenBLAS whose symbols show.

    Its own threads wait for each other at every small product, at a great price on a busy machine; fronts are better
    shared out among the caller's threads. The order of additions, too, then does not depend on the machine's cores.
    """

    def __init__(self) -> None:
        self._lock, self._users, self._before = Lock(), 0, 1
        library = ctypes.CDLL(scipy.linalg.cython_blas.__file__)
        names = [f"{prefix}openblas_%s_num_threads{suffix}" for prefix in ("scipy_", "") for suffix in ("", "64_")]
        found = [name for name in names if hasattr(library, name % "set") and hasattr(library, name % "get")]
        self._set = getattr(library, found[0] % "set") if found else lambda _threads: None
        self._get = getattr(library, found[0] % "get") if found else lambda: 1

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = self._get()
                self._set(1)
            self._users += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._set(self._before)


ONE_BLAS_THREAD = _OneBlasThread()

_BYTES = ir.IntType(8).as_pointer()


def _call(builder: Any, name: str, kinds: str, arguments: Any) -> None:
    """Emit the call of a Fortran routine: letters (c), integers (i) and reals (d) by reference, addresses (a) as is."""
    passed = []
    for kind, argument in zip(kinds, arguments, strict=True):
        if kind == "a":
            passed.append(builder.inttoptr(argument, _BYTES))
            continue
        value = argument if kind == "d" else builder.trunc(argument, ir.IntType(8 if kind == "c" else 32))
        passed.append(builder.bitcast(cgutils.alloca_once_value(builder, value), _BYTES))
    shape = ir.FunctionType(ir.VoidType(), [_BYTES] * len(kinds))
    builder.call(cgutils.get_or_insert_function(builder.module, shape, name), passed)


def _routine(name: str, kinds: str) -> Any:
    """Return the signature and the code generator of an intrinsic that calls a Fortran routine."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _call(builder, f"linkways_{name}", kinds, arguments)
        return context.get_dummy_value()

    return types.void(*[types.float64 if kind == "d" else types.int64 for kind in kinds]), generate


@intrinsic
def _dgemm(  # type: ignore[no-untyped-def]
    _typing, _transa, _transb, _m, _n, _k, _alpha, _a, _lda, _b, _ldb, _beta, _c, _ldc
):
    """C = alpha op(A) op(B) + beta C, column-major; matrices are given by address, letters by code point."""
    return _routine("dgemm", "cciiidaiaidai")


@intrinsic
def _dtrsm(  # type: ignore[no-untyped-def]
    _typing, _side, _uplo, _trans, _diag, _m, _n, _alpha, _a, _lda, _b, _ldb
):
    """B = alpha B op(A)^-1 (or from the left), A triangular."""
    return _routine("dtrsm", "cccciidaiai")


@intrinsic
def _pointer(_typing: Any, _address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float64)(types.int64), generate


@njit(cache=True, nogil=True, inline="always")
def memory(address, count):  # type: ignore[no-untyped-def]
    """View ``count`` doubles at an address as a flat array."""
    return carray(_pointer(address), (count,))


@njit(cache=True, nogil=True)
def add_outer_product(a, lda, rows, depth, beta, c, ldc):  # type: ignore[no-untyped-def]
    """Lower triangle of C = beta C + A A^T, A (rows, depth); A and C by address, column-major."""
    for j in range(0, rows, STRIP):
        width = min(STRIP, rows - j)
        _dgemm(
            78, 84, rows - j, width, depth, 1.0, a + 8 * j, lda, a + 8 * j, lda, beta, c + 8 * (j * ldc + j), ldc
        )  # fmt: skip


@njit(cache=True, nogil=True)
def eliminate(front, address, rows, pivots):  # type: ignore[no-untyped-def]
    """Eliminate the first ``pivots`` nodes of a front, in place.

    ``front`` is a view of the column-major matrix (rows, pivots) at ``address``, lower triangle: conductances between
    each pivot and the nodes after it. Column k becomes l_kk = sqrt(d_k) and l_ik = w_ik / sqrt(d_k) >= 0: the
    Cholesky factor of the Laplacian with its sign turned below the diagonal. A pivot with nothing left, d_k = 0, is
    the last node of a component; l_kk = inf then holds it at voltage 0.
    """
    for first in range(0, pivots, PANEL):
        after = min(first + PANEL, pivots)
        if rows - first <= FEW_ROWS or after - first < 8:
            _panel_of_few(front, rows, first, after)
        else:
            _panel_of_many(front, address, rows, first, after)
        # Recursion on halves, unrolled: after panel t = odd * 2^e the last 2^e panels update the next 2^e.
        panels = first // PANEL + 1
        width = (panels & -panels) * PANEL
        start = panels * PANEL - width
        end = min(after + width, pivots)
        for j in range(after, end, STRIP):
            source = address + 8 * (start * rows + j)
            _dgemm(
                78, 84, rows - j, min(STRIP, end - j), after - start, 1.0, source, rows, source, rows,
                1.0, address + 8 * (j * rows + j), rows,
            )  # fmt: skip


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _panel_of_few(front, rows, first, after):  # type: ignore[no-untyped-def]
    """Eliminate columns first..after, each updated by those before it in the panel just before its turn."""
    for k in range(first, after):
        column = front[k * rows + k : (k + 1) * rows]
        left = first
        while left + 4 <= k:
            a = front[left * rows + k : (left + 1) * rows]
            b = front[(left + 1) * rows + k : (left + 2) * rows]
            c = front[(left + 2) * rows + k : (left + 3) * rows]
            d = front[(left + 3) * rows + k : (left + 4) * rows]
            a0, b0, c0, d0 = a[0], b[0], c[0], d[0]
            for i in range(1, rows - k):
                column[i] += a0 * a[i] + b0 * b[i] + c0 * c[i] + d0 * d[i]
            left += 4
        while left < k:
            a = front[left * rows + k : (left + 1) * rows]
            a0 = a[0]
            for i in range(1, rows - k):
                column[i] += a0 * a[i]
            left += 1
        pivot = 0.0
        for i in range(1, rows - k):
            pivot += column[i]
        if pivot > 0.0:
            column[0] = np.sqrt(pivot)
            scale = 1.0 / column[0]
            for i in range(1, rows - k):
                column[i] *= scale
        else:
            column[0] = np.inf


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _sum(values):  # type: ignore[no-untyped-def]
    total = 0.0
    for value in values:
        total += value
    return total


@njit(cache=True, nogil=True)
def _divide_by_triangle(block, width, count, target, stride):  # type: ignore[no-untyped-def]
    """X := X B^-T, X (count, width) by address, column-major; B lower triangular, a flat array.

    An array whose address is taken must be an argument: the caller then holds it until the call is over. Compiled
    code lets go of its own arrays after the last use of their names.
    """
    _dtrsm(82, 76, 84, 78, count, width, 1.0, block.ctypes.data, width, target, stride)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _panel_of_many(front, address, rows, first, after):  # type: ignore[no-untyped-def]
    """Eliminate columns first..after: the square block by row sums, the rows below it by dtrsm.

    The rows below enter the pivots only through their sum, which is eliminated with the block as one node more.
    """
    width = after - first
    below = np.empty(width)
    for k in range(width):
        below[k] = _sum(front[(first + k) * rows + after : (first + k + 1) * rows])
    block = np.empty(width * width)
    for k in range(width):
        start = (first + k) * rows + first
        column = front[start : start + width]
        pivot = below[k]
        for i in range(k + 1, width):
            pivot += column[i]
        if pivot > 0.0:
            root = np.sqrt(pivot)
            scale = 1.0 / root
        else:
            root = np.inf
            scale = 0.0
        column[k] = root
        block[k * width + k] = root
        rest = below[k] * scale
        for i in range(k + 1, width):
            column[i] *= scale
            block[k * width + i] = -column[i]
        for j in range(k + 1, width):
            factor = column[j]
            below[j] += factor * rest
            start = (first + j) * rows + first
            other = front[start : start + width]
            for i in range(j + 1, width):
                other[i] += factor * column[i]
    if rows > after:
        _divide_by_triangle(block, width, rows - after, address + 8 * (first * rows + after), rows)


def _four_columns(builder: Any, arguments: Any, carries: bool) -> None:
    """Emit ``for i in range(begin, end)`` over the rows of four columns k.. of a front and of y (rows, BLOCK).

    Either y[i] += sum_c front[i, k + c] y[k + c] (carries), or y[k + c] += sum_i front[i, k + c] y[i]. Rows of y are
    vectors that stay in registers, which the compiler cannot know to be safe when y is an array.
    """
    front, rows, y, k, begin, end = arguments
    double, vector = ir.DoubleType(), ir.VectorType(ir.DoubleType(), BLOCK)
    word = begin.type
    matrix = builder.inttoptr(front, double.as_pointer())
    vectors = builder.inttoptr(y, vector.as_pointer())
    own = [builder.gep(vectors, [builder.add(k, word(c))]) for c in range(4)]
    tops = [builder.mul(builder.add(k, word(c)), rows) for c in range(4)]
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), [0] * BLOCK)
    undefined = ir.Constant(vector, ir.Undefined)

    def times(i: Any, c: int, factor: Any) -> Any:
        entry = builder.load(builder.gep(matrix, [builder.add(tops[c], i)]))
        single = builder.insert_element(undefined, entry, ir.IntType(32)(0))
        return builder.fmul(builder.shuffle_vector(single, undefined, zeros), factor, flags=["contract"])

    def plus(a: Any, b: Any) -> Any:
        return builder.fadd(a, b, flags=["contract"])

    held = [builder.load(place, align=8) for place in own]
    sums = [cgutils.alloca_once_value(builder, value) for value in held]
    with cgutils.for_range(builder, end, start=begin) as loop:
        place = builder.gep(vectors, [loop.index])
        row = builder.load(place, align=8)
        if carries:
            for c in range(4):
                row = plus(row, times(loop.index, c, held[c]))
            builder.store(row, place, align=8)
        else:
            for c in range(4):
                builder.store(plus(builder.load(sums[c]), times(loop.index, c, row)), sums[c])
    if not carries:
        for c in range(4):
            builder.store(builder.load(sums[c]), own[c], align=8)


def _over_four_columns(carries: bool) -> Any:
    """Return the signature and the code generator of an intrinsic over four columns."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _four_columns(builder, arguments, carries)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@intrinsic
def _carry_four(_typing, _front, _rows, _y, _k, _begin, _end):  # type: ignore[no-untyped-def]
    """y[i] += sum_c front[i, k + c] y[k + c] for i in begin..end; front and y by address."""
    return _over_four_columns(carries=True)


@intrinsic
def _collect_four(_typing, _front, _rows, _y, _k, _begin, _end):  # type: ignore[no-untyped-def]
    """y[k + c] += sum_i front[i, k + c] y[i] over i in begin..end; front and y by address."""
    return _over_four_columns(carries=False)


@njit(cache=True, nogil=True)
def substitute_forward(address, rows, pivots, y):  # type: ignore[no-untyped-def]
    """Solve with the pivots' triangle of an eliminated front and carry to the rows below; y (rows, BLOCK)."""
    front = memory(address, rows * pivots)
    target = y.ctypes.data
    for first in range(0, pivots, 4):
        after = min(first + 4, pivots)
        for k in range(first, after):
            scale = 1.0 / front[k * rows + k]
            for n in range(BLOCK):
                y[k, n] *= scale
            for i in range(k + 1, after if after - first == 4 else rows):
                for n in range(BLOCK):
                    y[i, n] += front[k * rows + i] * y[k, n]
        if after - first == 4:
            _carry_four(address, rows, target, first, after, rows)


@njit(cache=True, nogil=True)
def substitute_backward(address, rows, pivots, y):  # type: ignore[no-untyped-def]
    """Solve with the transpose, given the rows below the pivots; y (rows, BLOCK)."""
    front = memory(address, rows * pivots)
    target = y.ctypes.data
    for first in range((pivots - 1) // 4 * 4, -1, -4):
        after = min(first + 4, pivots)
        if after - first == 4:
            _collect_four(address, rows, target, first, after, rows)
        for k in range(after - 1, first - 1, -1):
            for i in range(k + 1, after if after - first == 4 else rows):
                for n in range(BLOCK):
                    y[k, n] += front[k * rows + i] * y[i, n]
            scale = 1.0 / front[k * rows + k]
            for n in range(BLOCK):
                y[k, n] *= scale


@njit(cache=True, nogil=True)
def eliminate_first(conductances, count):  # type: ignore[no-untyped-def]
    """Return the conductances among the nodes after the first ``count``, which are eliminated: (n - count)^2.

    ``conductances`` (n, n) is symmetric; its diagonal is not read, that of the result is 0.
    """
    n = conductances.shape[0]
    front = np.empty(n * count)
    for k in range(count):
        for i in range(n):
            front[k * n + i] = conductances[k, i]
    result = conductances[count:, count:].copy()
    _eliminate_onto(front, n, count, result)
    for i in range(n - count):  # what is the lower triangle column by column is the upper one row by row
        result[i, i] = 0.0
        for j in range(i):
            result[i, j] = result[j, i]
    return result


@njit(cache=True, nogil=True)
def _eliminate_onto(front, rows, pivots, result):  # type: ignore[no-untyped-def]
    """Eliminate a front and add what it leaves to the lower triangle, column-major, of the result."""
    address = np.int64(front.ctypes.data)  # it is unsigned, for which all would be compiled once more
    rest = rows - pivots
    eliminate(front, address, rows, pivots)
    add_outer_product(address + 8 * pivots, rows, rest, pivots, 1.0, np.int64(result.ctypes.data), rest)


def all_resistances(conductances: np.ndarray) -> np.ndarray:
    """Effective resistance between all pairs of nodes of a dense network, (n, n); inf where nothing connects them.

    The nodes are cut into four groups; each of the six pairs of groups is kept while the other two are eliminated,
    and so on inside the pair. Six problems of half the size cost less than one of full size, so that the whole is
    O(n^3), and each resistance is found without a subtraction.
    """
    n = len(conductances)
    result = np.zeros((n, n))
    with ONE_BLAS_THREAD:
        _resistances(np.ascontiguousarray(conductances, dtype=np.float64), np.arange(n), result)
    return result


def _resistances(conductances: np.ndarray, names: np.ndarray, result: np.ndarray) -> None:
    if len(names) <= 8:
        _small_resistances(conductances, names, result)
        return
    groups = np.array_split(np.arange(len(names)), 4)
    for a in range(4):
        for b in range(a):
            kept = np.concatenate([groups[a], groups[b]])
            gone = np.concatenate([groups[c] for c in range(4) if c not in (a, b)])
            order = np.concatenate([gone, kept])
            _resistances(eliminate_first(conductances[np.ix_(order, order)], len(gone)), names[kept], result)


@njit(cache=True, nogil=True)
def _small_resistances(conductances, names, result):  # type: ignore[no-untyped-def]
    """Every pair by its own elimination of all other nodes."""
    n = names.size
    order = np.empty(n, np.int64)
    work = np.empty((n, n))
    for a in range(n):
        for b in range(a):
            count = 0
            for c in range(n):
                if c != a and c != b:
                    order[count] = c
                    count += 1
            order[n - 2] = b
            order[n - 1] = a
            for i in range(n):
                for j in range(n):
                    work[i, j] = conductances[order[i], order[j]]
            for k in range(n - 2):
                pivot = 0.0
                for j in range(k + 1, n):
                    pivot += work[k, j]
                if pivot > 0.0:
                    for i in range(k + 1, n):
                        for j in range(k + 1, n):
                            work[i, j] += work[i, k] * work[k, j] / pivot
            joined = work[n - 2, n - 1]
            resistance = 1.0 / joined if joined > 0.0 else np.inf
            result[names[a], names[b]] = resistance
            result[names[b], names[a]] = resistance
