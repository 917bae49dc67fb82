"""Files, devices, processes, signals and the shell of every program."""
