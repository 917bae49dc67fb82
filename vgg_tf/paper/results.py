"""The paper's results: Tables 3 to 6 (top-1 and top-5 error in %) and 8 to 10 (localization).

All numbers are for the validation images of ILSVRC-2012, in Table 10 also for its test images
(sections 4 and A.2).
"""

import itertools

FIXED, LARGE, JITTER = (256, 256), (384, 384), (256, 512)
TECHNIQUES = ("dense", "multi-crop", "multi-crop+dense")
# The seven networks of the submission to ILSVRC-2014.
SEVEN = frozenset({("D", JITTER), *itertools.product("CDE", (FIXED, LARGE))})
PAPER = {
    3: {  # one scale
        ("A", FIXED): (29.6, 10.4), ("A-LRN", FIXED): (29.7, 10.5), ("B", FIXED): (28.7, 9.9),
        ("C", FIXED): (28.1, 9.4), ("C", LARGE): (28.1, 9.3), ("C", JITTER): (27.3, 8.8),
        ("D", FIXED): (27.0, 8.8), ("D", LARGE): (26.8, 8.7), ("D", JITTER): (25.6, 8.1),
        ("E", FIXED): (27.3, 9.0), ("E", LARGE): (26.9, 8.7), ("E", JITTER): (25.5, 8.0),
    },
    4: {  # three scales
        ("B", FIXED): (28.2, 9.6), ("C", FIXED): (27.7, 9.2), ("C", LARGE): (27.8, 9.2),
        ("C", JITTER): (26.3, 8.2),
        ("D", FIXED): (26.6, 8.6), ("D", LARGE): (26.5, 8.6), ("D", JITTER): (24.8, 7.5),
        ("E", FIXED): (26.9, 8.7), ("E", LARGE): (26.7, 8.6), ("E", JITTER): (24.8, 7.5),
    },
    5: {  # three scales, by protocol
        ("D", JITTER): dict(zip(TECHNIQUES, [(24.8, 7.5), (24.6, 7.5), (24.4, 7.2)], strict=True)),
        ("E", JITTER): dict(zip(TECHNIQUES, [(24.8, 7.5), (24.6, 7.4), (24.4, 7.1)], strict=True)),
    },
    6: {  # several networks
        frozenset({("D", JITTER), ("E", JITTER)}): dict(
            zip(TECHNIQUES, [(24.0, 7.1), (23.9, 7.2), (23.7, 6.8)], strict=True)
        ),
        SEVEN: {"dense": (24.7, 7.5)},
    },
}  # fmt: skip
PRESETS = tuple(f"paper-table{number}" for number in PAPER)
# Table 8, protocol 1, D at S = 384: (first trained layer or "", kind) to the error in %.
TABLE8 = {("fc1", "scr"): 36.4, ("fc1", "pcr"): 34.3, ("", "pcr"): 33.1}
# Table 9, protocol 2, PCR, all layers trained: (S, Q) to the top-5 validation error in %.
TABLE9 = {(256, (256,)): 29.5, (384, (384,)): 28.2, (384, (352, 384)): 27.5}
TABLE9_FUSION = 26.9  # S/Q 256/256 and 384/352,384
TABLE10 = {
    "VGG": (26.9, 25.3),
    "GoogLeNet": (None, 26.7),
    "OverFeat": (30.0, 29.9),
    "Krizhevsky et al.": (None, 34.2),
}
