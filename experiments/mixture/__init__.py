"""Learning inference jointly: the study of 25 Gaussians in the plane (Section 4.5 and figure 8).

    python -m experiments.mixture search   # random hyperparameters, the same for ALI and GAN
    python -m experiments.mixture compare  # the best ALI beside a GAN with inference learned later, and a VAE
    python -m experiments.mixture speed    # runs at once against runs in turn
    python -m experiments.mixture seeds --config=configs/mixture.py    # ten seeds of one config

`seeds` serves configs/five_gaussians.py, ALICE's toy data, too.

The config is configs/mixture.py:ali, from which the search makes the GAN's networks too. `search` keeps each
draw of hyperparameters in --workdir (runs/mixture_search) and goes on from there, also with draws of other
numbers, --draws=10,11; `compare` starts from those that are done. Results go to --output, or to
<workdir>/results/<command>.
"""
