"""Pictures of rectangles with annotations."""

import numpy as np

from tests.making import save

XML = (
    "<annotation><size><width>{0}</width><height>{1}</height></size>"
    "<object><name>{2}</name><bndbox><xmin>{3}</xmin>"
    "<ymin>{4}</ymin><xmax>{5}</xmax><ymax>{6}</ymax></bndbox></object></annotation>"
)


def pictures(folder, n=20):
    """Make pictures of red and green rectangles on gray noise, with their annotations."""
    random = np.random.default_rng(0)
    (folder / "annotations").mkdir(parents=True)
    for i in range(n):
        h, w = random.integers(40, 60, 2)
        (ymin, xmin), (height, width) = random.integers(0, 20, 2), random.integers(12, 20, 2)
        picture = random.integers(90, 120, (h, w, 3), dtype=np.uint8)
        picture[ymin : ymin + height, xmin : xmin + width] = [(220, 20, 20), (20, 220, 20)][i % 2]
        save(folder / "images" / f"{i:02d}.png", picture)
        xml = XML.format(w, h, ("red", "green")[i % 2], xmin, ymin, xmin + width, ymin + height)
        (folder / "annotations" / f"{i:02d}.xml").write_text(xml)
    return folder
