"""Reads the header of a model: enough to refuse a bad file before llama.cpp sees it, and to know its tensor types.

Format: the comment at the top of ggml's gguf.h. Only the header is read (a memory map, no weights). Of a model in
several files the metadata are those of the first one, and the tensors those of all, as llama.cpp has them.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hd_edge.errors import ConfigError, ModelFileError

from .dimensions import check_dimensions
from .parts import COUNT, NUMBER, check_tensors, check_type, part_paths
from .soundness import (
    KINDS,
    MODEL,
    MOST_LAYERS,
    WORDS,
    UnsoundError,
    alignment_of,
    check_values,
    check_words,
    numbers_at,
    refuse,
    shown,
    texts_at,
)

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_WHOLE = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 7: "?", 10: "Q", 11: "q"}  # of _SCALARS
_STRING, _ARRAY = 8, 9
_STRINGS = struct.pack("<I", _STRING)  # element type of an array of texts
_NUMBERS = struct.pack("<I", 5)  # ... of int32
_MOST = 1 << 24  # tensors, keys or dimensions beyond this are nonsense

# ggml_type -> (name, values per block, bytes per block)
TENSOR_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip


@dataclass(frozen=True)
class GGUFHeader:
    """What the header says.

    Attributes:
        scalars: Scalar and string metadata by key; arrays are left out.
        tensor_types: Type name of every tensor by its name; unknown types as ``type 99``.
        dimensions: Shape of every tensor by its name, ggml order (row width first).
        arrays: Arrays of whole numbers by key, of no more than a model may have layers.
        files: All files of the model, the first one first.
    """

    scalars: dict[str, object] = field(default_factory=dict)
    tensor_types: dict[str, str] = field(default_factory=dict)
    dimensions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    arrays: dict[str, tuple[int, ...]] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    @property
    def architecture(self) -> str:
        """``general.architecture``, or ``""``."""
        return str(self.scalars.get("general.architecture", ""))

    @property
    def causal(self) -> bool:
        """False where a token attends to those behind it as well."""
        return bool(self.scalars.get(f"{self.architecture}.attention.causal", True))

    def overridden(self, values: Mapping[str, object] | None) -> GGUFHeader:
        """What llama.cpp reads under ``kv_overrides``, which it ignores where the file's value is of another type.

        Raises:
            ConfigError: A value that llama.cpp would end the process over.
        """
        known = self.scalars
        fits = {key: value for key, value in (values or {}).items() if type(value) is type(known.get(key, value))}
        if not fits:
            return self
        scalars = {**known, **fits}
        if scalars.get(MODEL) != known.get(MODEL):
            msg = f"kv_overrides={fits} cannot be: the vocabulary of the file is one of {known.get(MODEL)!r}"
            raise ConfigError(msg)
        if scalars.get(COUNT) != known.get(COUNT):
            msg = f"kv_overrides={fits} cannot be: the file says {known.get(COUNT)}"
            raise ConfigError(msg)
        try:
            check_values(scalars, self.arrays, self.tensor_types)
            check_dimensions(scalars, self.arrays, self.dimensions)
        except UnsoundError as error:
            reason = str(error).removeprefix("is damaged: ").removesuffix("; fetch it again")
            msg = f"kv_overrides={fits} cannot be: {reason}"
            raise ConfigError(msg) from None
        return replace(self, scalars=scalars)

    @property
    def keeps_state(self) -> bool:
        """True for recurrent and hybrid models (as far as the header tells): every token overwrites their state."""
        marks = (".ssm.", ".wkv.", ".shortconv.")
        return any(mark in key for key in self.scalars for mark in marks) or "rwkv" in self.architecture

    @property
    def windowed(self) -> bool:
        """True where some layers attend to a sliding window only."""
        return f"{self.architecture}.attention.sliding_window" in self.scalars

    @property
    def matrix_types(self) -> set[str]:
        """Types of the tensors that matrix products read (two dimensions or more)."""
        return {kind for name, kind in self.tensor_types.items() if len(self.dimensions[name]) > 1}


def read_header(path: str | Path) -> GGUFHeader:
    """Reads and checks the header of a model, of all its files if it is in several.

    Raises:
        ModelFileError: A file is missing, unreadable, no GGUF (the message shows the first bytes), of an unknown
            version or truncated, or their numbers are not those of one model.
    """
    path = Path(path)
    header = _read_file(path)
    try:
        files = part_paths(path, header.scalars)
        for number, file in enumerate(files[1:], 1):
            _add(header, file, number, f"file {number + 1} of {len(files)} of the model {path.name}")
        check_values(header.scalars, header.arrays, header.tensor_types)
        check_dimensions(header.scalars, header.arrays, header.dimensions)
        if files[1:]:  # behind what names a tensor
            check_tensors(header.scalars, len(header.tensor_types))
    except UnsoundError as error:
        msg = f"{path} {error}"
        raise ModelFileError(msg) from None
    return replace(header, files=tuple(files))


def _add(header: GGUFHeader, path: Path, number: int, role: str) -> None:
    """Adds the tensors of another file of the model."""
    part = _read_file(path, role)
    if (found := part.scalars.get(NUMBER)) != number:
        msg = f"{path} is not {role}: its {NUMBER} is {found}, expected {number}; fetch it again"
        raise ModelFileError(msg)
    for name in part.tensor_types:
        if name in header.tensor_types:
            msg = f"{path} is damaged: it has tensor {shown(name)}, as a file before it does; fetch it again"
            raise ModelFileError(msg)
    header.tensor_types.update(part.tensor_types)
    header.dimensions.update(part.dimensions)


def _read_file(path: Path, role: str = "") -> GGUFHeader:
    """Reads one file, and compares nothing of it yet. ``role``: what it is, where the user did not name it."""
    cure = f"it is {role}, keep them in one folder" if role else "give the path of a .gguf file"
    try:
        if path.is_file():
            return _read(path)
        what = "is a directory" if path.is_dir() else "is no regular file" if path.exists() else "does not exist"
    except OSError as error:
        msg = f"model file {path} cannot be read: {error.strerror or error}"
        raise ModelFileError(msg) from error
    msg = f"model file {path} {what}: {cure}"
    raise ModelFileError(msg)


def _read(path: Path) -> GGUFHeader:
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(4)
        if magic != b"GGUF":
            hint = "it is empty" if not magic else f"its first bytes are {magic!r}, a GGUF begins with b'GGUF'"
            web = ": this looks like a web page, did the download fail?" if magic[:1] == b"<" else ""
            msg = f"{path} is not a GGUF file: {hint}{web}"
            raise ModelFileError(msg)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _parse(data, path, size)
            except (struct.error, IndexError):
                msg = f"{path} is truncated: its header needs more than the {size} bytes it has; fetch it again"
                raise ModelFileError(msg) from None
            except UnsoundError as error:
                msg = f"{path} {error}"
                raise ModelFileError(msg) from None


def _parse(data: mmap.mmap, path: Path, size: int) -> GGUFHeader:
    version, n_tensors, n_keys = struct.unpack_from("<IQQ", data, 4)
    if version not in (2, 3):
        msg = f"{path} has GGUF version {version}, supported are 2 and 3: convert it anew or update"
        raise ModelFileError(msg)
    if n_tensors > _MOST or n_keys > _MOST:
        msg = f"{path} is damaged: its header claims {n_tensors} tensors and {n_keys} keys; fetch it again"
        raise ModelFileError(msg)
    header = GGUFHeader()
    words: list[bytes] = []
    kinds: tuple[int, ...] = ()
    at = 24
    for _ in range(n_keys):
        key, at = _string(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        begins = at + 4
        check_type(key, kind)
        value, at = _value(data, begins, kind, path)
        if key == WORDS and (kind, data[begins : begins + 4]) == (_ARRAY, _STRINGS):
            words = texts_at(data, begins + 4)
        elif key == KINDS and (kind, data[begins : begins + 4]) == (_ARRAY, _NUMBERS):
            kinds = numbers_at(data, begins + 4)
        if value is not None:
            header.scalars[key] = value
        elif (whole := _whole_numbers(data, begins)) is not None:
            header.arrays[key] = whole
    ends = [0]
    for _ in range(n_tensors):
        name, at = _string(data, at)
        (n_dims,) = struct.unpack_from("<I", data, at)
        if not 0 < n_dims <= 4:
            msg = f"{path} is damaged: tensor {shown(name)} has {n_dims} dimensions, at most 4 are possible"
            raise ModelFileError(msg)
        shape = struct.unpack_from(f"<{n_dims}Q", data, at + 4)
        kind, offset = struct.unpack_from("<IQ", data, at + 4 + 8 * n_dims)
        at += 16 + 8 * n_dims
        if name in header.tensor_types:
            refuse(f"it has tensor {shown(name)} twice")
        type_name, block, block_bytes = TENSOR_TYPES.get(kind, (f"type {kind}", 1, 0))
        header.tensor_types[name] = type_name
        header.dimensions[name] = shape
        ends.append(offset + math.prod(shape) // block * block_bytes)
    alignment = alignment_of(header.scalars)
    needed = -(-at // alignment) * alignment + max(ends) if header.tensor_types else at
    if needed > size:
        msg = f"{path} is truncated: its tensors need {needed} bytes, the file has {size}; fetch it again"
        raise ModelFileError(msg)
    check_words(header.scalars, words, kinds)
    return header


def _string(data: mmap.mmap, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, at)
    end = at + 8 + length
    if end > len(data):
        raise IndexError
    return data[at + 8 : end].decode("utf-8", errors="replace"), end


def _whole_numbers(data: mmap.mmap, at: int) -> tuple[int, ...] | None:
    """An array, whose bounds have been checked, if it holds whole numbers and is short."""
    element, count = struct.unpack_from("<IQ", data, at)
    if element not in _WHOLE or not 0 < count <= MOST_LAYERS:
        return None
    return struct.unpack_from(f"<{count}{_WHOLE[element]}", data, at + 12)


def _value(data: mmap.mmap, at: int, kind: int, path: Path) -> tuple[object, int]:
    """The value at an offset (None for arrays, which are skipped) and the offset behind it."""
    if kind in _SCALARS:
        (value,) = struct.unpack_from(_SCALARS[kind], data, at)
        return value, at + struct.calcsize(_SCALARS[kind])
    if kind == _STRING:
        return _string(data, at)
    if kind != _ARRAY:
        msg = f"{path} is damaged: metadata type {kind} is unknown"
        raise ModelFileError(msg)
    element, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if element in _SCALARS:
        end = at + count * struct.calcsize(_SCALARS[element])
    elif element == _STRING:
        end, size, unpack = at, len(data), struct.Struct("<Q").unpack_from
        for _ in range(count):
            end += 8 + unpack(data, end)[0]
            if end > size:
                raise IndexError
    else:
        msg = f"{path} is damaged: arrays of metadata type {element} are unknown"
        raise ModelFileError(msg)
    if end > len(data):
        raise IndexError
    return None, end
