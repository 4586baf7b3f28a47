"""Outlier detection: what a model of normal examples cannot bring back, or finds unlikely, is strange.

    from ali_jax.anomaly import Detector

    detector = Detector(random_state=0).fit(normal_rows)
    order = detector.score_samples(new_rows).argsort()  # the strangest first

Of rows of tables or of images, with scikit-learn's interface; see docs/anomaly.md. `inputs` checks and scales
what comes in, `networks` makes a game of the data's size, `members` trains it, `evidence`, `scores` and
`neighbours` say how strange an example is; `estimator` and `files` are what a user holds.
"""

from ali_jax.anomaly.estimator import Detector
from ali_jax.anomaly.scores import SCORES

__all__ = ["SCORES", "Detector"]
