"""Our models as estimators of scikit-learn: fit, predict, score; in pipelines, searches and cross-validation.

==============  =====================================================================================================
estimator.py    `RNNEstimator`: what all share; from what was read to a run of `fit`. sequence_estimator.py: what those
                of sequences share; labels.py: those among them whose answers are classes
classifier.py   `RNNClassifier`, and regressor.py, tagger.py, forecaster.py: what is learned, and what is answered
reading/        what X, y and weights may be
learning.py     optimizers by name, and when a run is over
carrying.py     what another network has learned, as the beginning of this one
files.py        `save` and `load`
==============  =====================================================================================================
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"rnn_core.sklearn: scikit-learn must be installed, and can't be imported ({error}); "
        "pip install 'rnn_core[sklearn]'"
    ) from None

from .classifier import RNNClassifier
from .forecaster import RNNForecaster
from .regressor import RNNRegressor
from .tagger import RNNTagger

__all__ = ["RNNClassifier", "RNNForecaster", "RNNRegressor", "RNNTagger"]
