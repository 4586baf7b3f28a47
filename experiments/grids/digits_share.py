"""A contrast of a part of the code, on digits, for `experiments.ablation --config=configs/digits.py`."""

REFERENCE = "as it is"

VARIANTS = {
    "as it is": {},
    "share 0.75": {"terms.contrast.share": 0.75},
}
