"""Contact sheets: grids of images with titles and boxes."""

from matplotlib.patches import Rectangle

from vgg_tf.figures.drawing import Drawing, make_line


def draw_contact_sheet(images, titles, boxes, title, columns=None):
    """Draw images in a grid, each with its title and its boxes.

    Args:
        images: Sequence of uint8 `[h, w, 3]`, of any sizes.
        titles: Title of each image; a tuple has several lines.
        boxes: `annotations.Boxes` of each image.
        title: Title of the figure.
        columns: Images per row. None for a sheet in landscape format.

    Returns:
        A matplotlib `Figure`.
    """
    columns = columns or min(len(images), max(1, round((len(images) * 1.5) ** 0.5)))
    rows = -(-len(images) // columns)
    figure = Drawing(1 + 1.8 * columns, 0.6 + 1.9 * rows, title)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, image, name, (corners, names) in zip(grid, images, titles, boxes, strict=False):
        h, w, _ = image.shape
        lines = (name,) if isinstance(name, str) else name
        axes.imshow(image)
        axes.set_title("\n".join(make_line(words, 24) for words in lines), fontsize=7)
        for (xmin, ymin, xmax, ymax), label in zip(corners, names, strict=True):
            # imshow puts the edges of pixels at halves. Yellow on black is visible on any image.
            corner, width, height = (
                (xmin * w - 0.5, ymin * h - 0.5),
                (xmax - xmin) * w,
                (ymax - ymin) * h,
            )
            for colour, thickness in (("black", 2.5), ("yellow", 1)):
                axes.add_patch(
                    Rectangle(
                        corner, width, height, fill=False, edgecolor=colour, linewidth=thickness
                    )
                )
            if label and not any(label in words for words in lines):
                axes.text(*corner, make_line(label, 40), fontsize=5, color="yellow", va="bottom")
    return figure
