"""Arrays to pictures: grids of images, and scatter plots."""

import numpy as np

SMALLEST_CELL = 32  # pixels; smaller images are enlarged by a whole factor, so that a person sees them


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Images row by row, one pixel apart: uint8 or [0, 1] float (N, H, W, C) -> uint8 (H', W', 3).

    The last row is filled with white where N is not a multiple of `columns`. Of channels that are no colours,
    two or more than three, the first one or three are shown.
    """
    images = to_uint8(images)
    images = images[..., : 3 if images.shape[3] >= 3 else 1]
    enlarge = max(1, -(-SMALLEST_CELL // images.shape[1]))
    images = images.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    images = np.broadcast_to(images, (*images.shape[:3], 3))
    missing = -len(images) % columns
    images = np.pad(images, [(0, missing), (0, 1), (0, 1), (0, 0)], constant_values=255)
    images[len(images) - missing :] = 255
    cells = images.reshape(-1, columns, *images.shape[1:])  # (rows, columns, H, W, 3)
    height, width = cells.shape[2:4]
    return cells.swapaxes(1, 2).reshape(len(cells) * height, columns * width, 3)[:-1, :-1]


def alternate(originals: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """Pairs for a grid as in the paper: odd columns originals, even columns their reconstructions."""
    pairs = np.stack([to_uint8(originals), to_uint8(reconstructions)], axis=1)
    return pairs.reshape(-1, *pairs.shape[2:])


def to_uint8(images: np.ndarray) -> np.ndarray:
    """[0, 1] floats to the nearest of 0..255; uint8 as it is."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    return np.round(np.clip(images.astype(np.float32), 0, 1) * 255).astype(np.uint8)


def scatter_panels(panels: dict[str, tuple[np.ndarray, np.ndarray | None, float]]) -> np.ndarray:
    """Scatter plots side by side -> uint8 (H, W, 3).

    Args:
      panels: title -> (points (N, 2), component of each (N,) or None for black, half width of the axes).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(panels), 4.2), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, (title, (points, component, limit)) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        scatter(axes, points, component, limit)
        axes.set_title(title)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def scatter(axes, points: np.ndarray, component: np.ndarray | None, limit: float) -> None:
    """Points (N, n) on matplotlib's `axes` of [-limit, limit], coloured by component (N,), or black.

    Of more than two values the first two are drawn; of one, it and 0.
    """
    points = np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))
    colour = {"c": "black"} if component is None else {"c": component, "cmap": "gist_rainbow"}
    # Thousands of points are drawn as pixels, in a PDF too.
    axes.scatter(points[:, 0], points[:, 1], s=1, linewidths=0, rasterized=True, **colour)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
