"""`copy_parameters`: what one model has learned, into another, by name, by token and by unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rnn_core.formats.chain import Chain
from rnn_core.layers.base import Layer

from .fitting import Fitter, Fitting, Misfit
from .groups import Patterns, by_pattern, checked_layer, chosen, hint
from .report import ParameterRow, TransferReport, checksum
from .values import arrays_of, check_float
from .vocabulary import Vocabulary, token_map

MISMATCHES = ("error", "skip", "overlap")


def copy_parameters(
    source: Layer | Chain | Mapping[str, Any],
    target: Layer,
    *,
    include: Patterns | None = None,
    exclude: Patterns | None = None,
    rename: Mapping[str, str] | None = None,
    vocabulary: tuple[Vocabulary, Vocabulary] | None = None,
    on_mismatch: str = "error",
) -> TransferReport:
    """Copy parameters of the same name from one model into another.

    Nothing is written unless everything can be: after an error the target is as it was.

    Parameters
    ----------
    source : Model, layer, Chain or mapping of str to array
        Where values come from: a model, or a state_dict (also torch's, on the CPU). A chain that `load_keras` or
        `load_onnx` has read has the names of a model: embedding, rnn and, where the target has a head, its last affine
        map as head.
    target : Model or layer
        What is written into. A frozen parameter is written like any other: freezing is about training.
    include, exclude : str or iterable of str, optional
        Patterns of the target's parameters to copy into (all by default), and to leave as they are.
    rename : mapping of str to str, optional
        The target's name for a name of the source, where they differ. Both may hold one ``*``, which stands for the
        same text: ``{"lstm.*": "rnn.*"}``. A renamed parameter goes to its new name alone.
    vocabulary : pair, optional
        The source's tokens and the target's, each a `Tokenizer` or the tokens in the order of their ids. Rows of
        the target's `vocabulary_parameters` are then those of the same *token*. A token that is new gets the mean of
        the source's rows. Padding is no token: where the target has a padding row of its own, it stays.
    on_mismatch : {"error", "skip", "overlap"}
        What to do where shapes differ. "overlap" copies the leading part of each axis, for each gate and each
        direction on its own: unit j of a smaller layer becomes unit j of a larger one.

    Returns
    -------
    report : TransferReport
        A row for every parameter of the target; ``print(report)`` is a table.

    Raises
    ------
    ValueError
        A pattern or a new name matches nothing, two parameters claim one place, there is nothing to copy, a shape or
        a vocabulary does not fit, or a value is NaN or infinite.
    TypeError
        A value can't be represented in its target's dtype, one of the two is quantized, or an argument is of the wrong
        type.

    Notes
    -----
    Without `vocabulary`, vocabulary rows are copied as they stand if there are as many on both sides; that is right
    for one and the same vocabulary alone, and the report says so. If their numbers differ, `vocabulary` is the
    only way: rows of words are never matched by index.
    """
    where = "copy_parameters"
    checked_layer(where, "target", target)
    check_float(where, "target", target)
    if isinstance(source, Chain):
        source = source.named_for(target.parameters)
    arrays = arrays_of(where, "source", source)
    if on_mismatch not in MISMATCHES:
        raise ValueError(f"{where}: on_mismatch must be 'error', 'skip' or 'overlap', got {on_mismatch!r}")
    tokens = None if vocabulary is None else token_map(where, vocabulary, source, target)
    origin = _origins(arrays, target, rename)
    wanted = _wanted(arrays, target, origin, include, exclude)
    fittings = _fittings(arrays, target, origin, wanted, Fitter(where, source, target, tokens, on_mismatch))
    # Copied before the first write: the source may be the target itself, or hold views of it.
    values = {name: fitting.value.copy() for name, fitting in fittings.items() if fitting.value is not None}
    for name, value in values.items():
        target.parameters[name][...] = value  # (X1)
    return _report(arrays, target, origin, fittings)


def _fittings(
    arrays: Mapping[str, Any], target: Layer, origin: Mapping[str, str], wanted: set[str], fitter: Fitter
) -> dict[str, Fitting]:
    """Return what is to become of each parameter of the target; one error names all that don't fit."""
    fittings, misfits = {}, []
    for name in target.parameters:
        if name not in origin:
            fittings[name] = Fitting("fresh")
        elif name not in wanted:
            fittings[name] = Fitting("skipped", note="left out")
        else:
            try:
                fittings[name] = fitter.fit(name, origin[name], arrays[origin[name]])
            except Misfit as misfit:
                misfits.append(misfit)
    if misfits:
        words = any(misfit.words for misfit in misfits)
        gates = any(misfit.gates for misfit in misfits)  # another cell's, of which no part fits
        others = "'skip'" if gates or fitter.on_mismatch == "overlap" else "'skip' or 'overlap'"
        raise ValueError(
            f"copy_parameters: source must have the target's shapes, got {', '.join(map(str, misfits))}; "
            + ("vocabulary=(source_tokens, target_tokens) takes rows of words by token, " if words else "")
            + f"on_mismatch={others} takes what fits, exclude=[...] leaves parameters out"
        )
    return fittings


def _report(
    arrays: Mapping[str, Any], target: Layer, origin: Mapping[str, str], fittings: Mapping[str, Fitting]
) -> TransferReport:
    used = {origin[name] for name, fitting in fittings.items() if fitting.value is not None}
    frozen: frozenset[str] = getattr(target, "frozen", frozenset())
    rows = (
        ParameterRow(
            name=name,
            status=fitting.status,
            numbers=target.parameters[name].size,
            taken=fitting.taken,
            source=origin.get(name),
            note=fitting.note,
            frozen=name in frozen,
            checksum=checksum(target.parameters[name]),
        )
        for name, fitting in fittings.items()
    )
    return TransferReport(tuple(rows), tuple(name for name in arrays if name not in used))


def _origins(arrays: Mapping[str, Any], target: Layer, rename: Mapping[str, str] | None) -> dict[str, str]:
    """Return the source's name for each parameter of the target that it has a value for."""
    where = "copy_parameters"
    new_names: dict[str, str] = {}
    if rename is not None and not isinstance(rename, Mapping):
        raise TypeError(f"{where}: rename must be a dict {{old: new}} of names, got {rename!r}")
    for old, new in (rename or {}).items():
        if not isinstance(old, str) or not isinstance(new, str):
            raise TypeError(f"{where}: rename must map strings to strings, got {old!r}: {new!r}")
        if old.count("*") > 1 or old.count("*") != new.count("*"):
            raise ValueError(f"{where}: rename must have one * on both sides or none, got {old!r}: {new!r}")
        pattern = re.compile(re.escape(old).replace(r"\*", "(.*)"), re.DOTALL)
        found = {name: match for name in arrays if (match := pattern.fullmatch(name))}
        if not found:
            raise ValueError(f"{where}: rename must match a parameter of the source, got {old!r}; {hint(old, arrays)}")
        for name, match in found.items():
            renamed = new.replace("*", match[1]) if "*" in new else new
            if renamed not in target.parameters:
                raise ValueError(
                    f"{where}: rename must lead to a parameter of the target, got {name!r}: {renamed!r}; "
                    f"{hint(renamed, target.parameters)}"
                )
            if new_names.setdefault(name, renamed) != renamed:
                raise ValueError(
                    f"{where}: rename must give a parameter one name, got {new_names[name]!r} and {renamed!r} "
                    f"for {name!r}"
                )
    origin = {name: name for name in target.parameters if name in arrays and name not in new_names}
    claims: dict[str, str] = {}
    for old, new in new_names.items():
        if claims.setdefault(new, old) != old:
            raise ValueError(
                f"{where}: rename must lead to different parameters, got {claims[new]!r} and {old!r} for {new!r}"
            )
    return origin | claims


def _wanted(
    arrays: Mapping[str, Any],
    target: Layer,
    origin: Mapping[str, str],
    include: Patterns | None,
    exclude: Patterns | None,
) -> set[str]:
    """Return the target's parameters that are to be copied into."""
    where = "copy_parameters"
    wanted = set(origin)
    if include is not None:
        _, matches = by_pattern(where, "include", target, include)
        for pattern, names in matches.items():
            if not wanted.intersection(names):
                raise ValueError(
                    f"{where}: include must match a parameter that the source has too, got {pattern!r}; "
                    f"the source has {', '.join(arrays) or 'none'}; rename={{old: new}} helps where names differ"
                )
        wanted &= {name for names in matches.values() for name in names}
    if exclude is not None:
        wanted -= set(chosen(where, "exclude", target, exclude))
    if not wanted:
        raise ValueError(
            f"{where}: source and target must share a parameter to copy, got none; the source has "
            f"{', '.join(arrays) or 'none'}, the target {', '.join(target.parameters)}; rename={{old: new}} helps "
            "where names differ"
        )
    return wanted
