"""What is counted of a ranking: functions of arrays."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

MEASURES = ("auroc", "auprc", "f1")


def judge(strangeness: np.ndarray, anomaly: np.ndarray) -> dict[str, float]:
    """Areas under the curves, and F1 where as many are called anomalies as there are.

    Args:
      strangeness: (N,), high for anomalies.
      anomaly: (N,) bool, of both kinds.
    """
    return {
        "auroc": float(roc_auc_score(anomaly, strangeness)),
        "auprc": float(average_precision_score(anomaly, strangeness)),
        "f1": f1_at_the_true_share(strangeness, anomaly),
    }


def f1_at_the_true_share(strangeness: np.ndarray, anomaly: np.ndarray) -> float:
    """F1 of the K strangest, K the number of anomalies; precision and recall are then the same.

    Of examples as strange as the last of them, an expected share counts.
    """
    count = int(np.sum(anomaly))
    threshold = np.sort(strangeness)[::-1][count - 1]
    above, level = strangeness > threshold, strangeness == threshold
    hits = np.sum(anomaly & above) + (count - np.sum(above)) * np.mean(anomaly[level])
    return float(hits / count)
