"""What is told of a run while it goes on, and may end it: logs, dashboards, rules of one's own."""

from .callback import Callback, StepRecord, watching
from .logs import CSVLog, JSONLog
from .onward import Onward
from .tensorboard import TensorBoard

__all__ = ["Callback", "StepRecord", "watching", "CSVLog", "JSONLog", "Onward", "TensorBoard"]
