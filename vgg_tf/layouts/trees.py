"""Folders as trees of pictures: what is in them, without what systems and tools leave there."""

import os
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vgg_tf.images import formats
from vgg_tf.records.collection import RECIPE_FILE
from vgg_tf.runtime import files
from vgg_tf.runtime.programs import count
from vgg_tf.runtime.remote import get_gfile, is_remote, naming

# Folders of NAS, Windows, macOS, Linux and notebooks, in lower case.
LITTER_FOLDERS = frozenset(
    "@eadir @tmp @recycle @recently-snapshot @sharebin #recycle #snapshot $recycle.bin lost+found "
    "__macosx __pycache__ thumbnails_cache .ipynb_checkpoints".split()
) | {"system volume information", "found.000", "network trash folder", "temporary items"}
_CAPITALS = frozenset(("RECYCLER", "RECYCLED"))  # of Windows; recycled may be a class
# Skipped folders of trackers and tools. Their images are counted: the name may be a class.
_TOOLS = frozenset("node_modules wandb mlruns lightning_logs".split())
_SYSTEMS = frozenset(".thumbnails .trash .trashes .git .cache .spotlight-v100 .fseventsd".split())
LITTER_FILES = frozenset(
    "thumbs.db thumbs.db:encryptable ehthumbs.db desktop.ini icon\r synofile_thumb "
    "synoindex_media_info picasa.ini".split(" ")
)
_PLURAL = frozenset(("hidden folder", "hidden file", "run folder", "broken link"))
RUN, REPORT = "run folder", "report of a test"
# Files in such folders: the recipe of a run, and one of those that training writes next to it.
_MARKS = [
    *((RUN, {RECIPE_FILE, name}) for name in ("log.csv", "last.safetensors", "model.keras")),
    (REPORT, {"report.json", "report.html"}),
]


@dataclass(frozen=True)
class Listing:
    """The files below a folder.

    Attributes:
        pictures: sorted names of the pictures, relative to the folder.
        passed: numbers of other files by kind, as for `formats.describe_kinds`.
        litter: numbers of files and folders of systems and tools, by name.
    """

    pictures: list[str] = field(default_factory=list)
    passed: Counter = field(default_factory=Counter)
    litter: Counter = field(default_factory=Counter)


class Folder:
    """A folder that is listed when it is first asked for its content.

    Attributes:
        path: Path, local or remote.
        name: Last part of the path.
        top: Whether the user gave this folder, so that it is read even if it is a run folder.
    """

    def __init__(self, path, top=False):
        """Take the path; nothing is read yet."""
        self.path, self.name, self.top = str(path), os.path.basename(str(path)), top

    @property
    def folders(self):
        """Folders in this one, sorted by name: a list of `Folder`."""
        return self._content[0]

    @property
    def pictures(self):
        """Sorted names of the pictures in this folder itself."""
        return self._content[1]

    @property
    def others(self):
        """Sorted names of the other files in this folder itself, without litter."""
        return self._content[2]

    @property
    def passed(self):
        """Numbers of the other files by kind, a `Counter`."""
        return self._content[3]

    @property
    def litter(self):
        """Numbers of what is skipped by name, a `Counter`."""
        return self._content[4]

    @property
    def tool(self):
        """`RUN` or `REPORT` if this folder is one, and so has no content; or an empty str."""
        return self._content[5]

    @cached_property
    def branches(self):
        """Folders in this one that have pictures in them or below, a list of `Folder`."""
        return [folder for folder in self.folders if folder.has_pictures]

    @cached_property
    def has_pictures(self):
        """Whether there is a picture in this folder or below."""
        return any(folder.pictures for _, folder in self.visit())

    @cached_property
    def listing(self):
        """The `Listing` of all files below this folder."""
        found, passed, litter = [], Counter(), Counter()
        for below, folder in self.visit():
            found += [f"{below}{name}" for name in folder.pictures]
            passed += folder.passed
            litter += folder.litter
            litter[folder.tool] += bool(folder.tool)
        for name in [self.name, *found]:
            # Python stores bytes that are not UTF-8 as surrogates.
            if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
                raise ValueError(
                    "A file name must be UTF-8. Received: "
                    f"{os.fsencode(name if name == self.name else f'{self.path}/{name}')}. Rename "
                    "the file."
                )
        return Listing(sorted(found), passed, +litter)

    def visit(self, without=()):
        """Visit this folder and those below.

        Links to folders are followed, but not to folders that were visited or that contain this
        one.

        Args:
            without: paths of folders that are left out.

        Yields:
            below: path relative to this folder, empty or with a slash at the end.
            folder: `Folder`.
        """
        remote = is_remote(self.path)
        seen = set() if remote else set(map(str, Path(self.path).resolve().parents))
        waiting = [("", self)]
        while waiting:
            below, folder = waiting.pop()
            place = folder.path if remote else os.path.realpath(folder.path)
            if place in seen or folder.path in without:
                continue
            seen.add(place)
            yield below, folder
            waiting += [(f"{below}{each.name}/", each) for each in reversed(folder.folders)]

    @cached_property
    def _content(self):
        """Folders, pictures, other files, their kinds, litter, and the tool that made this."""
        try:
            names = _list_remote(self.path) if is_remote(self.path) else _list_local(self.path)
        except FileNotFoundError:
            if self.top:
                raise
            names = {}  # removed since its parent was listed
        tool = next((kind for kind, marks in _MARKS if marks <= names.keys()), "")
        if tool and not self.top:
            return [], [], [], Counter(), Counter(), tool
        folders, pictures, others, passed, litter = [], [], [], Counter(), Counter()
        for name, is_folder in sorted(names.items()):
            if skipped := _find_litter(name, is_folder):
                litter[skipped + self._count_inside(name, is_folder)] += 1
            elif is_folder is None:
                broken = not is_remote(self.path) and os.path.islink(f"{self.path}/{name}")
                if broken and formats.has_image_suffix(name):
                    pictures.append(name)  # its reader names it
                    continue
                litter["broken link" if broken else "pipe or device"] += 1
            elif is_folder:
                folders.append(Folder(f"{self.path.rstrip('/')}/{name}"))
            elif (kind := _find_kind(self.path, name)) in formats.FORMATS:
                pictures.append(name)
            else:
                others.append(name)
                passed[kind] += 1
        # The curves of several runs are drawn next to them.
        if not self.top and self.name.lower() == "runs" and any(each.tool for each in folders):
            return [], [], [], Counter(), Counter({RUN: len(folders) - 1}), RUN
        return folders, pictures, others, passed, litter, ""

    def _count_inside(self, name, is_folder):
        """Return a text with the number of images in a skipped folder that may be a class."""
        lower = name.lower()
        hidden = lower.startswith(".") and lower not in _SYSTEMS | LITTER_FOLDERS
        if not is_folder or is_remote(self.path) or not (hidden or lower in _TOOLS):
            return ""
        try:
            names = os.listdir(f"{self.path}/{name}")
        except OSError:
            return ""  # it is skipped whatever it has
        n = sum(map(formats.has_image_suffix, names))
        shown = f" {name}/" if hidden else ""
        return f"{shown} with {count(n, 'image')}" if n else ""


def _list_local(folder):
    """Return `{name: whether it is a folder}`; None for broken links, and for pipes as images."""
    try:
        with os.scandir(folder) as entries:
            return {
                entry.name: entry.is_dir()
                or (None if _is_read(entry) and not entry.is_file() else False)
                for entry in entries
            }
    except PermissionError as error:
        raise PermissionError(
            f"A folder of images must be readable. Received: {folder}, which may not be listed "
            f"({error.strerror}). Change it with chmod u+rx, or move it out of the source."
        ) from error


def _is_read(entry):
    """Return whether a link or an image: what is opened if it is a file."""
    return entry.is_symlink() or formats.has_image_suffix(entry.name)


def _list_remote(folder):
    """Return `{name: whether it is a folder}`."""
    with naming(folder, "list"):
        names = get_gfile().listdir(folder)
    # Google's storage marks folders by a slash: asking for each picture would take minutes.
    marked = folder.startswith("gs://")
    return {
        name.rstrip("/"): name.endswith("/")
        or (not (marked and formats.has_image_suffix(name)) and files.is_folder(f"{folder}/{name}"))
        for name in names
    }


def _find_litter(name, is_folder):
    """Return what a name is counted as if it is skipped, or an empty str."""
    if name.startswith("._"):
        return "._*"
    lower = name.lower()
    if is_folder and (lower in LITTER_FOLDERS | _TOOLS or name in _CAPITALS):
        return f"{name}/"
    if not is_folder and (lower in LITTER_FILES or lower == ".ds_store"):
        return name
    return ("hidden folder" if is_folder else "hidden file") if name.startswith(".") else ""


def _find_kind(folder, name):
    """Return the format of an image, or the suffix of another file."""
    if formats.has_image_suffix(name):
        return formats.FORMATS[0]  # whichever: the decoder looks at the content
    path = f"{folder}/{name}"
    if not is_remote(path) and os.path.isfile(path):  # not a pipe, which would wait for a writer
        try:
            with open(path, "rb", buffering=0) as file:
                if kind := formats.find_kind(file.read(formats.HEAD)):
                    return kind
        except OSError:
            pass  # what cannot be read is counted by its name
    return formats.get_suffix(path)


def describe_litter(counts):
    """Return a text that counts what was skipped, such as `3 @eaDir/, 1 Thumbs.db`."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    texts = [
        f"{n:,} {kind}" + ("s" if n > 1 and kind in _PLURAL else "") for kind, n in ordered[:20]
    ]
    return ", ".join(texts) + (f" and {len(ordered) - 20} more" if len(ordered) > 20 else "")
