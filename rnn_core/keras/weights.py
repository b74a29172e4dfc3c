"""A layer's weights out of an HDF5 archive: where Keras has put them, with the shapes that its configuration asks for.

==========  ==========================================================================================================
.h5         ``model_weights/<name>``, whose attribute ``weight_names`` has the places, in order
.keras      ``layers/<class>_<n>/…/vars/0``, 1, …; the n-th layer of its class, counted from 0, which is left out
==========  ==========================================================================================================

Only what the file itself holds is read: links of HDF5 that lead elsewhere, data in other files and unknown ways of
packing are refused, and so is a shape that the file is too small for.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from math import prod
from typing import Any, NamedTuple

import h5py
import numpy as np

from ..foreign import one_line, shown
from .file import Stored

FILTERS = frozenset({1, 2, 3})
"""Ways of packing that HDF5 has itself: deflate, shuffle, and a checksum."""

Shape = tuple[int | None, ...]
"""Sizes; None is any."""


class CantRead(Exception):
    """Why a layer can't be read."""


class Place(NamedTuple):
    """Where a layer's weights are."""

    name: str  # the layer's
    group: str  # in a .keras file
    inner: tuple[str, ...] = ()  # and within it


def read_weights(
    stored: Stored, place: Place, shapes: Mapping[str, Shape], dtype: str | None, k: int = 0, of: int = 1
) -> dict[str, np.ndarray]:
    """Return weights by Keras's names.

    Parameters
    ----------
    stored : Stored
    place : Place
    shapes : mapping of str to Shape
        Those that the layer has, in order, and their shapes.
    dtype : str or None
        What they must be in; None for float32 or float64.
    k, of : int
        Which of several parts with the same names, as the directions of Bidirectional.

    Raises
    ------
    CantRead
        One is missing, has another shape, or isn't in the file itself.
    """
    names = tuple(shapes)
    try:
        found = _by_name(stored, place, names, k, of) if stored.legacy else _by_number(stored, place, names)
        pairs = zip(names, found, strict=True)
        return {name: _array(one, name, shapes[name], dtype, stored.most) for name, one in pairs}
    except CantRead:
        raise
    except Exception as error:  # of a damaged archive, whatever HDF5 makes of it
        raise CantRead(f"its weights are damaged ({one_line(error)})") from error


def _by_name(stored: Stored, place: Place, names: tuple[str, ...], k: int, of: int) -> list[Any]:
    """Return what is under a layer's name."""
    group = _inside(stored.weights, (place.name,))
    paths = _listed(group, "weight_names")
    tails = [path.rpartition("/")[2].partition(":")[0] for path in paths]
    if tails != [*names] * of:
        raise CantRead(f"its weights must be {', '.join(names)}{_times(of)}, got {_told(paths)}")
    return [_inside(group, tuple(path.split("/"))) for path in paths[k * len(names) : (k + 1) * len(names)]]


def _by_number(stored: Stored, place: Place, names: tuple[str, ...]) -> list[Any]:
    """Return what is in the group of a layer."""
    group = _inside(stored.weights, (place.group, *place.inner, "vars"))
    if not isinstance(group, h5py.Group) or len(group) != len(names):
        got = len(group) if isinstance(group, h5py.Group) else "something else"
        raise CantRead(f"its weights must be {', '.join(names)}, got {got} of them in {group.name}")
    return [_inside(group, (str(n),)) for n in range(len(names))]


def _times(of: int) -> str:
    return ", of each direction" if of > 1 else ""


def _told(names: list[str]) -> str:
    return ", ".join(shown(name, 40) for name in names[:6]) + ("…" if len(names) > 6 else "") if names else "none"


def _inside(group: Any, parts: tuple[str, ...]) -> Any:
    """Return what is at a place within a group, by links that stay in the file."""
    for part in parts:
        if not isinstance(group, h5py.Group):
            raise CantRead(f"{group.name} must be a group, and isn't")
        link = group.get(part, getlink=True) if part else None
        if link is None:
            raise CantRead(f"its weights must be at {_path(group, part)}, and nothing is there")
        if not isinstance(link, h5py.HardLink):
            raise CantRead(f"{_path(group, part)} must be in the file itself, got a link that leads elsewhere")
        group = group[part]
    return group


def _path(group: h5py.Group, part: str) -> str:
    return shown(f"{group.name}/{part}")


def _listed(group: Any, name: str) -> list[str]:
    """Return a list of texts that is an attribute, or several in which Keras has cut a long one."""
    numbered = takewhile(group.attrs.__contains__, (f"{name}{n}" for n in count()))
    parts = [name] if name in group.attrs else list(numbered)
    if not parts:
        raise CantRead(f"its group must have the attribute {name}, and hasn't")
    found: list[str] = []
    for part in parts:
        attribute = group.attrs.get_id(part)
        if len(attribute.shape) != 1 or attribute.shape[0] > 1 << 16:
            raise CantRead(f"{name} must be a list of texts, got shape {attribute.shape}")
        values = group.attrs[part]
        if attribute.shape[0] and values.dtype.kind not in "OSU":
            raise CantRead(f"{name} must be a list of texts, got {values.dtype}")
        found += [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in values.tolist()]
    return found


def _array(data: Any, name: str, shape: Shape, dtype: str | None, most: int) -> np.ndarray:
    """Return the numbers of a weight, looked at before they are read."""
    if not isinstance(data, h5py.Dataset):
        raise CantRead(f"{name} must be an array, and isn't")
    got = data.shape if data.shape is not None else ()
    if len(got) != len(shape) or any(want not in (None, have) for want, have in zip(shape, got, strict=True)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise CantRead(f"{name} must have shape ({wanted}{',' * (len(shape) == 1)}), got {got}")
    if data.dtype.kind != "f" or data.dtype.name not in ((dtype,) if dtype else ("float32", "float64")):
        raise CantRead(f"{name} must be {dtype or 'float32 or float64'}, got {one_line(data.dtype, 40)}")
    plist = data.id.get_create_plist()
    if data.is_virtual or plist.get_external_count():
        raise CantRead(f"{name} must be in the file itself, got data that lie in another")
    if any(plist.get_filter(n)[0] not in FILTERS for n in range(plist.get_nfilters())):
        raise CantRead(f"{name} must be packed by deflate, or not at all")
    size, packed = prod(got) * data.dtype.itemsize, plist.get_nfilters() > 0
    if 0 in got or size > most or (not packed and data.id.get_storage_size() < size):
        raise CantRead(f"{name} must have a number for each place of its shape {got}, and the file is too small for it")
    array = data[()]
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))
