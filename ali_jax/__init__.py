"""Adversarially Learned Inference (Dumoulin et al., ICLR 2017; also BiGAN) in JAX and Flax.

Importing this package imports nothing else; take what you need:

    from ali_jax import data, inference, models, terms
    from ali_jax.train_step import init_state, train_step
"""

__version__ = "0.1.0"
