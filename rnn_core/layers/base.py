"""What every layer and model shares: named parameters, their groups, state dictionaries, conversion."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from .first_values import undrawn
from .home import HOST, move
from .layout import describe
from .live import LiveParameters, fill, keep, write


class Layer:
    """Named parameters and the arguments that rebuild their owner.

    Subclasses set `config` and `parameters` in their constructor. Parameter arrays keep their identity for the
    life of the layer: loading, training and ``layer.parameters[name] = values`` write into them.

    Attributes
    ----------
    config : dict
        The constructor's arguments: ``type(layer)(**layer.config)`` makes another of the same shape.
    parameters : dict of str to ndarray
        Every parameter by name, in a fixed order: the live arrays, not copies. What is assigned to a name is checked
        and copied into its array; no entry can be added or taken out.
    """

    config: dict[str, Any]
    _parameters: LiveParameters

    @property
    def parameters(self) -> dict[str, Array]:
        """The live arrays by name."""
        return self._parameters

    @parameters.setter
    def parameters(self, arrays: Mapping[str, Array]) -> None:
        self._parameters = keep(f"{type(self).__name__}.parameters", getattr(self, "_parameters", {}), arrays)

    @property
    def namespace(self) -> Any:
        """The array module of the parameters, and so of inputs and outputs: NumPy's on the host, CuPy's on a GPU."""
        one = self._parameters.one()
        return HOST if type(one) is np.ndarray else array_namespace(one)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the parameters, and so of inputs and outputs."""
        return np.dtype(self.config["dtype"])

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Parameter names by group, from the input upwards. A simple layer is one group with no name."""
        return {"": tuple(self.parameters)} if self.parameters else {}

    @property
    def gate_blocks(self) -> dict[str, int]:
        """Into how many gate blocks the first axis of a parameter falls; 1 where it is not a gate's."""
        return dict.fromkeys(self.parameters, 1)

    def _share(self, name: str, array: Array) -> None:
        """Take another layer's array for one of this layer's own, as tied weights do."""
        self._parameters = LiveParameters(f"{type(self).__name__}.parameters", {**self.parameters, name: array})

    def state_dict(self) -> dict[str, Array]:
        """Return a copy of every parameter by name (torch's names for recurrent layers), where the layer is."""
        return {name: array.copy() for name, array in self.parameters.items()}

    def load_state_dict(self, mapping: Mapping[str, Any]) -> None:
        """Copy values into the parameters. Nothing changes unless every name, shape and dtype fits.

        Parameters
        ----------
        mapping : mapping of str to array
            One array for each parameter, on the host or on the GPU, wherever the layer is; torch's tensors will do. A
            float32 value may go into a float64 parameter, never the other way round without the caller's own
            ``astype``.

        Raises
        ------
        ValueError
            A name is missing or unknown, a shape differs, or a value is NaN or infinite.
        TypeError
            A value can't be represented in the parameter's dtype without loss.
        """
        where = f"{type(self).__name__}.load_state_dict"
        if not isinstance(mapping, Mapping):
            raise TypeError(f"{where}: mapping must be a dict of arrays by name, got {describe(mapping)}")
        missing = [name for name in self.parameters if name not in mapping]
        unknown = [name for name in mapping if name not in self.parameters]
        if missing or unknown:
            raise ValueError(
                f"{where}: names must be those of the parameters; missing: {', '.join(missing) or 'none'}; "
                f"unknown: {', '.join(unknown) or 'none'}; this {type(self).__name__} has {', '.join(self.parameters)}"
            )
        write(where, self.parameters, {name: mapping[name] for name in self.parameters})

    def astype(self, dtype: Any, backend: str | None = None, precision: str | None = None) -> Self:
        """Return a layer of the same shape whose parameters are these, converted to another dtype.

        Parameters
        ----------
        dtype : dtype
            float32, float64 or complex128.
        backend : str, optional
            The twin's backend; without it, this layer's own. Between "cuda" and another the parameters cross over.
        precision : {"float32", "bfloat16"}, optional
            In what the twin's recurrent core and heads multiply, or a `Linear`; without it as this layer's do, or in
            `dtype` itself where that is not float32.
        """
        config = {**self.config, "dtype": dtype}
        if precision is not None or np.dtype(dtype) != np.float32:
            config.pop("precision", None)
        if precision is not None:
            if "precision" not in inspect.signature(type(self)).parameters:
                raise TypeError(
                    f"{type(self).__name__}.astype: precision must be left out, as there is only one, got {precision!r}"
                )
            config["precision"] = precision
        if "backend" in config:
            complex_step = np.dtype(dtype).kind == "c"  # which the equations alone can take
            config["backend"] = backend or ("numpy" if complex_step else config["backend"])
        twin = self._shell(config)
        for name, array in self.parameters.items():
            fill(twin.parameters[name], move(array, twin.namespace))
        return twin

    def _shell(self, config: Mapping[str, Any]) -> Self:
        """Return a layer like this one, of another configuration, whose parameters are written next."""
        with undrawn():
            return type(self)(**config)


def generator(rng: np.random.Generator | int | None, where: str = "forward") -> np.random.Generator:
    """Return a generator: the one given, one seeded by an int (the same int, the same numbers), or a fresh one."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{where}: rng must be a numpy.random.Generator, an int of at least 0, or None, got {rng!r}"
        ) from None
