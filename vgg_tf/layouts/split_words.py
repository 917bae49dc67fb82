"""Which split the name of a folder or table stands for, such as `seg_train` or `TestSet`."""

import re
from itertools import pairwise

UNLABELED = "unlabeled"
_WORDS = {
    "train": "train training trn",
    "validation": "val valid validation validate validating eval evaluation evaluate dev "
    "development holdout heldout",
    "test": "test testing tst",
    UNLABELED: "pred preds predict predicts prediction predictions unlabeled unlabelled",
}
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words.split()}
# The end of names in one word, such as testset.
_END = re.compile(r"(set|data|dataset|images?|imgs?|pictures?|photos?|folder|split)?s?")
# Words in CamelCase, in capitals or in small letters, of any script.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")


def find_split(name):
    """Return the split that a name stands for.

    Args:
        name: name of a folder, or of a table without its suffix.

    Returns:
        `train`, `validation`, `test`, `UNLABELED`, or None if the name has no such word, or words
        of several splits.

    Example:
        >>> find_split("asl_alphabet_train"), find_split("TestSet"), find_split("trainval2012")
        ('train', 'test', None)
        >>> find_split("seg_pred"), find_split("invalid"), find_split("train_val")
        ('unlabeled', None, None)
    """
    words = [word.lower() for word in _WORD.findall(name)]
    pairs = ["".join(pair) for pair in pairwise(words)]  # hold-out
    found = {_find_word(word) for word in words + [pair for pair in pairs if pair in _SPLIT_OF]}
    if UNLABELED in found:
        return UNLABELED
    found.discard(None)
    return found.pop() if len(found) == 1 else None


def _find_word(word):
    for start in _SPLIT_OF:
        if word.startswith(start) and _END.fullmatch(word, len(start)):
            return _SPLIT_OF[start]
    return None
