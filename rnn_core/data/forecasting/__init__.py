"""Series whose future is asked for: what is known of them, their scales, and the windows that a network learns from.

==============  =====================================================================================================
series.py       `TimeSeries`: values with gaps, covariates, time stamps
scaling.py      `SeriesScaling`: fitted on the training part alone
window.py       `WindowSpec`: what a window is, and what a network reads of it
encoding.py     many series at once, and the numbers that a network reads of any of their windows
windows.py      `Windows`: the batches of a training loop
seasons.py      sine and cosine of the season, as covariates that are always known
==============  =====================================================================================================
"""

from .encoding import Encoded, Encoding
from .scaling import SeriesScaling
from .seasons import fourier
from .series import TimeSeries, checked_series
from .window import WindowSpec
from .windows import Windows

__all__ = ["Encoded", "Encoding", "SeriesScaling", "TimeSeries", "WindowSpec", "Windows", "checked_series", "fourier"]
