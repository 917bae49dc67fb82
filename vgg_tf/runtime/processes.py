"""Several processes on as many machines train one network together.

JAX connects the processes. If one of them is lost, JAX aborts the others from its own threads, and
Python cannot print a message. So a child process does the work, and its parent prints in one line
what has happened.
"""

import os
import re
import socket
import sys
import threading
import traceback
from dataclasses import dataclass

import tyro

from vgg_tf.runtime import programs

HEARTBEAT = 20  # seconds without a heartbeat after which a process counts as lost
START = 300  # seconds to wait for all processes at the start
PORT = 8476  # port of the first process on a TPU pod, JAX's default there
LOST = 76  # exit code of a child whose connection broke
_PIPE = "VGG_TF_PARENT"  # file descriptor that closes for a child when its parent ends
_CONNECTED = "vgg_tf: all processes are connected"  # printed by the child, read by the parent
# JAX's message where a process registers with the number of another one.
_TWICE = re.compile("newer incarnation|different incarnation")
_TORN = re.compile(
    "gloo|coordination service|unavailable:|heartbeat|deadline_exceeded|connection (closed|reset)",
    re.IGNORECASE,
)
# Lines that JAX, Gloo and TensorFlow print in every run, and the first ones about a lost process.
_NOISE = re.compile(r"^\[Gloo\]|absl::InitializeLog|oneDNN (custom operations|supports)")
_END = re.compile("JAX distributed service detected fatal errors|coordination_service_agent")


@dataclass(frozen=True)
class Hosts:
    """One of several processes that train together.

    Attributes:
        coordinator: HOST:PORT of the first of several processes that train together, each on its
            own machine. Any free port of that machine will do.
        processes: Number of processes. 0 is what SLURM or a TPU pod says, else 1.
        process: Index of this process, from 0.
    """

    coordinator: str = ""
    processes: int = 0
    process: int = 0

    def complete(self, environment=None):
        """Return the processes as the flags, SLURM (`srun`) or a Cloud TPU pod give them.

        Args:
            environment: Environment variables, used if no flag is given; None for `os.environ`.

        Returns:
            `Hosts`, with at least one process.

        Raises:
            ValueError: The flags do not fit together. The message says what is missing.
        """
        if self.coordinator or self.processes > 1 or self.process:
            host, _, port = self.coordinator.rpartition(":")
            if not (
                host
                and port.isdigit()
                and 0 < int(port) < 2**16
                and 0 <= self.process < self.processes > 1
            ):
                raise ValueError(
                    "Several processes need --coordinator HOST:PORT, --processes N (2 or more) and "
                    f"--process I (0 to N - 1). Received: --coordinator {self.coordinator!r}, "
                    f"--processes {self.processes}, --process {self.process}. Give all three on "
                    "each machine."
                )
            try:
                socket.getaddrinfo(host, port)
            except OSError as error:
                raise ValueError(
                    "--coordinator must name a machine that this one can find. Received: "
                    f"--coordinator {self.coordinator} ({error.strerror}). Check the name, or give "
                    "an IP address."
                ) from None
            return self
        if self.processes == 1:
            return self
        return self._read(os.environ if environment is None else environment)

    @staticmethod
    def _read(environment):
        """Return the processes of SLURM or a TPU pod; one process without either."""
        if "SLURM_STEP_NODELIST" in environment:
            n = _read_number(environment, "SLURM_NTASKS", "1")
            if n > 1:  # JAX reads the rest
                return Hosts("", n, _read_number(environment, "SLURM_PROCID", below=n))
        if _read_number(environment, "MEGASCALE_NUM_SLICES", "1") > 1:
            raise ValueError(
                "The processes of several TPU slices are not numbered. Received: "
                f"MEGASCALE_NUM_SLICES={environment['MEGASCALE_NUM_SLICES']}. Give --coordinator, "
                "--processes and --process."
            )
        machines = environment.get("TPU_WORKER_HOSTNAMES", "").split(",")
        if len(machines) > 1:
            process = _read_number(environment, "TPU_WORKER_ID", below=len(machines))
            return Hosts(f"{machines[0]}:{PORT}", len(machines), process)
        return Hosts(processes=1)

    def join(self):
        """Connect with the other processes; from now on Keras runs on JAX.

        A single process does nothing.

        Raises:
            ValueError: KERAS_BACKEND is not jax, or the port of --coordinator is in use.
            ModuleNotFoundError: JAX is not installed.
        """
        if self.processes == 1:
            return
        if os.environ.get("KERAS_BACKEND", "jax") != "jax":
            raise ValueError(
                "Several processes train on JAX only. Received: "
                f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}. Set KERAS_BACKEND=jax, or unset it."
            )
        os.environ["KERAS_BACKEND"] = "jax"
        try:
            import jax
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"Several processes need JAX. Received: {error}. Install it: pip install "
                '"jax[tpu]", "jax[cuda12]" or jax'
            ) from None
        if self.coordinator and not self.process:
            with socket.socket() as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    trial.bind(("", int(self.coordinator.rpartition(":")[2])))
                except OSError as error:
                    raise ValueError(
                        "--coordinator must name a free port. Received: --coordinator "
                        f"{self.coordinator} ({error.strerror}). Choose another port."
                    ) from None
        print(
            f"process {self.process} of {self.processes}: waiting for the other processes",
            flush=True,
        )
        given = (self.coordinator, self.processes, self.process) if self.coordinator else ()
        # The service would install its own handler of SIGTERM.
        jax.config.update("jax_enable_preemption_service", False)
        # As keras.distribution.initialize does, but with a heartbeat timeout shorter than 100 s.
        jax.distributed.initialize(
            *given, heartbeat_timeout_seconds=HEARTBEAT, initialization_timeout=START
        )
        if _PIPE in os.environ:
            print(_CONNECTED, file=sys.stderr, flush=True)


def _read_number(environment, name, default="", below=2**31):
    """Return the number in an environment variable of SLURM or a TPU pod."""
    text = environment.get(name, default)
    if not (text.isascii() and text.isdigit() and int(text) < below):
        raise ValueError(
            f"{name} must be a number{f' from 0 to {below - 1}' * (below < 2**31)}, set for each "
            f"process. Received: {text or 'no variable of this name'}. Start the processes with "
            "srun or on all machines of the pod, or give --coordinator, --processes and --process."
        )
    return int(text)


def check_share(images, split, processes):
    """Raise if a process would get no image of a split, and the others would wait for it.

    Args:
        images: Number of images of the split.
        split: Name of the split.
        processes: Number of processes.

    Raises:
        ValueError: There are fewer images than processes.
    """
    if images < processes:
        raise ValueError(
            f"The {split} split must have an image for each of the {processes} processes. "
            f"Received: {programs.count(images, 'image')}. Use fewer processes, or more images."
        )


def run(program, main):
    """Run `main()` as a program, as `programs.run` does.

    With several processes, it runs in a child process that this one watches.

    Args:
        program: Name after `python -m`.
        main: Function without arguments.
    """
    parent = os.environ.get(_PIPE)
    if parent:
        threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
        _leave(main)
    else:
        programs.run(lambda: _watch(program, main))


def _watch(program, main):
    """Run `main()` here if it is one process, else in a child, and report how the child ended."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        return main()
    hosts = tyro.cli(Hosts, args=arguments, return_unknown_args=True, prog=f"python -m {program}")[
        0
    ].complete()
    if hosts.processes == 1:
        return main()
    (reading, writing), quiet = os.pipe(), _Quiet()
    code = programs.call(
        [program, *arguments],
        env=os.environ | {_PIPE: str(reading)},
        pass_fds=[reading],
        said=quiet,
    )
    os.close(writing)
    who = f"process {hosts.process} of {hosts.processes}"
    lost = code == LOST or quiet.ended
    if quiet.twice:
        sys.exit(
            f"error: two processes are number {hosts.process} of {hosts.processes}. Give each of "
            f"them its own --process, from 0 to {hosts.processes - 1}, and start all of them again."
        )
    if lost and not quiet.connected:
        sys.exit(
            f"error: {who} waited {START // 60} minutes for the other processes. Check their "
            "output, and --coordinator, --processes and --process of each of them."
        )
    if lost:
        sys.exit(
            f"error: {who} lost another process, which ended, was killed or cannot be reached. "
            "All finished epochs are saved. Run the same commands again on all machines."
        )
    if code > 128:
        sys.exit(
            f"error: {who} was killed by signal {code - 128}. Run the same commands again on all "
            "machines."
        )
    sys.exit(code)


class _Quiet:
    """A filter of the child's error lines.

    It removes the lines that every run prints, and all that JAX prints after it has lost a process.

    Attributes:
        connected: Whether all processes have met.
        ended: Whether JAX has aborted because of another process.
        twice: Whether another process has the same number.
    """

    connected = ended = twice = False

    def __call__(self, line):
        self.connected = self.connected or _CONNECTED in line
        self.ended = self.ended or bool(_END.search(line))
        self.twice = self.twice or bool(_TWICE.search(line))
        if not (self.ended or _CONNECTED in line or _NOISE.search(line)):
            sys.stderr.write(line)
            sys.stderr.flush()


def _end_with(pipe):
    """Wait until the parent ends, then end this process."""
    os.read(pipe, 1)
    os._exit(1)


def _leave(main):
    """Run the program, and exit immediately after an error.

    Otherwise JAX would wait for the other processes, which wait for this one.

    Args:
        main: Function without arguments.
    """
    try:
        programs.run(main)
        return
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:
        # A JaxRuntimeError or a ValueError, depending on where the connection was used.
        torn = _TORN.search(str(error))
        code = LOST if torn else 1
        if not torn:
            traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
