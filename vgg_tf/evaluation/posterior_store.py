"""Files of probabilities or descriptors, from which an interrupted test resumes."""

import io
import os

import numpy as np

from vgg_tf.runtime import array_files, files, schemas

_CALLED, _REMEDY = "a complete .npz file of vgg_tf", "Delete it and run the command again."
_RULES = {"names": ("U", 1), "weights": ("U", 0), "checksums": ("u", 1), "done": ("b", 1)}
FOLDERS = {False: "posteriors", True: "descriptors"}


class Store:
    """A file of probabilities or descriptors, for one kind of views at one scale.

    Attributes:
        unit: the scale in pixels and the kind of views.
        rows: float32 `[n, classes or depth]`, NaN where not done.
        done: bool `[n]`.
        checksums: uint32 `[n]`, CRC-32 of the encoded images that the rows were computed from.
    """

    def __init__(self, trained, images, data, unit, static, precision, describe):
        self.images, self.unit, self.what = images, unit, FOLDERS[describe]
        self.weights = (
            trained.fingerprint if trained.run else f"{trained.fingerprint} in {precision}"
        )
        self.rows = np.full(
            (len(images), trained.depth if describe else trained.number), np.nan, np.float32
        )
        self.done = np.zeros(len(images), bool)
        self.checksums = np.zeros(len(images), np.uint32)
        sides = "-sides-of-32" if static and unit[1] == "dense" else ""
        plain = "" if trained.flip or unit[1] == "center" else "-unflipped"
        self.folder, self.name = (
            os.path.join(trained.folder, self.what),
            f"{data}-{unit[1]}-{unit[0]}{sides}{plain}",
        )

    def read(self):
        """Read the rows that are stored for these weights and image names.

        They are in one file, or in one file for each of several processes.

        Raises:
            schemas.DamagedFileError: a file is damaged.
        """
        for name in files.list_names(self.folder) if files.is_folder(self.folder) else ():
            if name.endswith(".npz") and name.split(".")[0] == self.name:
                path = os.path.join(self.folder, name)
                rules = _RULES | {self.what: ("f", 2)}
                file = array_files.read_arrays(path, rules, _CALLED, _REMEDY)
                with schemas.naming(path, _CALLED, _REMEDY):
                    self._take(file)

    def _take(self, file):
        """Take the done rows of a file, if they are of these weights and images."""
        if str(file["weights"]) != self.weights or file["names"].tolist() != self.images.names:
            return
        n = len(self.done)
        for name, shape in ((self.what, self.rows.shape), ("done", (n,)), ("checksums", (n,))):
            if file[name].shape != shape:
                raise ValueError(f"{name} of shape {file[name].shape}, not {shape}")
        done = file["done"]
        self.rows[done], self.checksums[done] = file[self.what][done], file["checksums"][done]
        self.done |= done

    def write(self, part):
        """Write all rows that are done.

        Args:
            part: number of this process and number of processes, whose rows go into a file of
                their own. None writes one file for all and removes the others.
        """
        if not self.done.any():
            return
        data = io.BytesIO()
        np.savez(
            data,
            names=np.array(self.images.names),
            labels=self.images.labels,
            checksums=self.checksums,
            done=self.done,
            weights=self.weights,
            scale=self.unit[0],
            views=self.unit[1],
            **{self.what: self.rows},
        )
        files.make_folder(self.folder)
        middle = f".{part[0]}-of-{part[1]}" if part else ""
        files.write_whole(os.path.join(self.folder, f"{self.name}{middle}.npz"), data.getvalue())
        if not part:
            for name in files.list_names(self.folder):
                if (
                    name.endswith(".npz")
                    and name != f"{self.name}.npz"
                    and name.split(".")[0] == self.name
                ):
                    files.remove(os.path.join(self.folder, name))
