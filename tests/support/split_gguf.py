"""A GGUF in several files, as llama.cpp's ``gguf-split`` makes them."""

from __future__ import annotations

from pathlib import Path

from broken_gguf import INT32, Gguf
from gguf_parts import parts

UINT16 = 2


def split(content: bytes, folder: Path, *sizes: int, stem: str = "model") -> Path:
    """Writes the parts of a file, and returns the first.

    Args:
        content: The whole file.
        folder: Where to.
        sizes: Tensors of each part but the last.
        stem: What their names begin with.
    """
    whole = parts(content)
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))] + [len(whole.tensors)]
    paths = [folder / f"{stem}-{number:05}-of-{len(ends):05}.gguf" for number in range(1, len(ends) + 1)]
    begin = 0
    for number, (path, end) in enumerate(zip(paths, ends, strict=True)):
        part = Gguf(keys=[*whole.keys] if number == 0 else [], tensors=whole.tensors[begin:end])
        part.set("split.no", UINT16, number)
        part.set("split.count", UINT16, len(ends))
        part.set("split.tensors.count", INT32, len(whole.tensors))
        path.write_bytes(part.to_bytes())
        begin = end
    return paths[0]
