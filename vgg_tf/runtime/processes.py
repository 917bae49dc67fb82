"""Several processes, on as many machines, train one network: who is who, and one clear line where
one of them is lost.

JAX connects them. When one is lost JAX aborts the others from threads of its own, as they wait for
it in the middle of a step: Python has no chance to speak. So the work is done in a child process,
and its parent tells what has happened.
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

HEARTBEAT = 20  # seconds without a sign of life that make a process a lost one
START = 300  # seconds to wait for all of them in the beginning
PORT = 8476  # of the first process on a TPU pod, as JAX has it there
LOST = 76  # exit code of a child that saw a connection break
_PIPE = "VGG_TF_PARENT"  # file descriptor on which a child sees its parent's end
_CONNECTED = "vgg_tf: all processes are connected"  # a line for the parent
_TORN = re.compile(
    "gloo|coordination service|unavailable:|heartbeat|deadline_exceeded|connection (closed|reset)",
    re.IGNORECASE,
)
# What JAX, Gloo and TensorFlow write of their own accord, and from where on they write of a lost
# process.
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
        """These, or what the environment of SLURM (`srun`) or of a Cloud TPU pod tells where
        nothing was given.

        Raises:
            ValueError: they do not fit together; the message says what is missing.
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
                    "Several processes want --coordinator HOST:PORT, --processes N of at least "
                    "2 and --process I below it. Received: "
                    f"{self.coordinator or 'no coordinator'}, {self.processes}, {self.process}."
                )
            try:
                socket.getaddrinfo(host, port)
            except OSError as error:
                raise ValueError(
                    f"--coordinator names a machine that is not found here: {host} "
                    f"({error.strerror})."
                ) from None
            return self
        if self.processes == 1:
            return self
        return self._read(os.environ if environment is None else environment)

    @staticmethod
    def _read(environment):
        """Return what SLURM or a TPU pod says; one process where neither does."""
        if "SLURM_STEP_NODELIST" in environment and int(environment.get("SLURM_NTASKS", 1)) > 1:
            # JAX reads the rest.
            return Hosts("", int(environment["SLURM_NTASKS"]), int(environment["SLURM_PROCID"]))
        if int(environment.get("MEGASCALE_NUM_SLICES", 1)) > 1:
            raise ValueError(
                "Several TPU slices do not tell who is who: give --coordinator, --processes "
                "and --process."
            )
        machines = environment.get("TPU_WORKER_HOSTNAMES", "").split(",")
        if len(machines) > 1:
            return Hosts(f"{machines[0]}:{PORT}", len(machines), int(environment["TPU_WORKER_ID"]))
        return Hosts(processes=1)

    def join(self):
        """Connect with the others; from now on Keras runs on JAX. Nothing is done where there are
        none.

        Raises:
            ValueError: KERAS_BACKEND says otherwise, or JAX is missing; the message says what to
                do.
        """
        if self.processes == 1:
            return
        if os.environ.get("KERAS_BACKEND", "jax") != "jax":
            raise ValueError(
                "Several processes train on JAX only: set KERAS_BACKEND=jax, or unset it."
            )
        os.environ["KERAS_BACKEND"] = "jax"
        try:
            import jax
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                'several processes need JAX: pip install "jax[tpu]", "jax[cuda12]" or jax'
            ) from None
        if self.coordinator and not self.process:
            with socket.socket() as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    trial.bind(("", int(self.coordinator.rpartition(":")[2])))
                except OSError as error:
                    raise ValueError(
                        f"--coordinator {self.coordinator}: {error.strerror}. Choose another port."
                    ) from None
        print(f"process {self.process} of {self.processes} waits for the others", flush=True)
        given = (self.coordinator, self.processes, self.process) if self.coordinator else ()
        jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM from us
        # As keras.distribution.initialize does, which would wait 100 s for a sign of life.
        jax.distributed.initialize(
            *given, heartbeat_timeout_seconds=HEARTBEAT, initialization_timeout=START
        )
        if _PIPE in os.environ:
            print(_CONNECTED, file=sys.stderr, flush=True)


def run(program, main):
    """Run `main()` as a program, see `programs.run`; where several processes were asked for, as a
    watched child.

    Args:
        program: its name after `python -m`.
        main: the function.
    """
    parent = os.environ.get(_PIPE)
    if parent:
        threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
        _leave(main)
    else:
        programs.run(lambda: _watch(program, main))


def _watch(program, main):
    """Do the work here where it is done alone, else in a child, and tell how that has ended."""
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
    if lost and not quiet.connected:
        sys.exit(
            f"error: {who} has waited for the others for {START // 60} minutes. Look at what "
            "they say, and at --coordinator, --processes and --process of all of them."
        )
    if lost:
        sys.exit(
            f"error: {who} has lost another one, which has ended, was killed or cannot be "
            "reached. All epochs that were done are saved: give the same commands again on all "
            "machines."
        )
    if code > 128:
        sys.exit(
            f"error: {who} was killed by signal {code - 128}. Give the same commands again on "
            "all machines."
        )
    sys.exit(code)


class _Quiet:
    """A filter of lines: all but the noise, and nothing of what JAX writes of its end.

    Attributes:
        connected: all processes have met.
        ended: JAX has aborted for the sake of another process.
    """

    connected = ended = False

    def __call__(self, line):
        self.connected = self.connected or _CONNECTED in line
        self.ended = self.ended or bool(_END.search(line))
        if not (self.ended or _CONNECTED in line or _NOISE.search(line)):
            sys.stderr.write(line)
            sys.stderr.flush()


def _end_with(pipe):
    """Wait for the parent's end, and follow it."""
    os.read(pipe, 1)
    os._exit(1)


def _leave(main):
    """Run the program, and leave after an error at once: JAX would wait for the others, who wait
    for us.
    """
    try:
        programs.run(main)
        return
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:
        # A JaxRuntimeError or a ValueError, by the place where the connection was used.
        torn = _TORN.search(str(error))
        code = LOST if torn else 1
        if not torn:
            traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
