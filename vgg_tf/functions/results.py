"""The base of the results: they print as the closing line of the program, and become JSON."""

import dataclasses


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """A result of a function."""

    def to_dict(self):
        """Return the fields as a dict of values that JSON can hold."""
        return {
            key: value.tolist() if hasattr(value, "tolist") else value
            for key, value in dataclasses.asdict(self).items()
        }

    def __repr__(self):
        return str(self)
