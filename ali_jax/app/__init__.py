"""A page in the browser about a trained model: `python -m ali_jax.app --model=mnist`.

`gallery` is which images the page knows, `explorer` what it computes of them and of images of the user's own;
neither knows of pages. `page` shows it, and is the only place that imports NiceGUI.
"""
