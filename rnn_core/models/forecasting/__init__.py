"""What comes next in a series: the model, what its head's numbers mean, and what it says of the future.

==============  =====================================================================================================
forecaster.py   `Forecaster`: the network, its loss, and its forecasts
answers.py      what the head's numbers mean: a mean, a normal distribution, quantiles
ahead.py        `Forecast`, and how several steps are made: at once, fed back, or as paths that are drawn
==============  =====================================================================================================
"""

from .ahead import Forecast
from .forecaster import Forecaster

__all__ = ["Forecast", "Forecaster"]
