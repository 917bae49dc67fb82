"""Each process gets its number from flags, SLURM or a TPU pod; wrong flags are refused."""

import pytest

from tests.runtime.making_processes import SLURM
from vgg_tf.runtime.processes import Hosts, check_share

POD = {"TPU_WORKER_HOSTNAMES": "10.0.0.2,10.0.0.3", "TPU_WORKER_ID": "1"}


@pytest.mark.parametrize(
    ("flags", "environment", "told"),
    [
        (Hosts(), {}, Hosts("", 1, 0)),
        (Hosts("localhost:1234", 3, 2), {}, Hosts("localhost:1234", 3, 2)),
        (Hosts("localhost:1234", 3, 2), POD, Hosts("localhost:1234", 3, 2)),
        (Hosts(), SLURM | {"SLURM_PROCID": "1"}, Hosts("", 2, 1)),
        (Hosts(processes=1), SLURM | {"SLURM_PROCID": "1"}, Hosts("", 1, 0)),
        (Hosts(), SLURM | {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, Hosts("", 1, 0)),
        (
            Hosts(),
            {"SLURM_NTASKS": "8", "SLURM_PROCID": "0"},
            Hosts("", 1, 0),
        ),  # sbatch without srun
        (Hosts(), POD, Hosts("10.0.0.2:8476", 2, 1)),
        (Hosts(), {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"}, Hosts("", 1, 0)),
    ],
)
def test_flags_number_the_processes_or_else_slurm_or_the_pod(flags, environment, told):
    found = flags.complete(environment)
    assert (found.coordinator, max(found.processes, 1), found.process) == (
        told.coordinator,
        told.processes,
        told.process,
    )


def test_several_tpu_slices_are_refused_without_flags():
    with pytest.raises(ValueError, match=r"Received: MEGASCALE_NUM_SLICES=2. Give --coordinator"):
        Hosts().complete(POD | {"MEGASCALE_NUM_SLICES": "2"})


@pytest.mark.parametrize(
    "flags",
    [
        Hosts("localhost:1", 2, 2),
        Hosts("localhost:1", 2, -1),
        Hosts("", 2, 0),
        Hosts("localhost", 2, 0),
        Hosts("localhost:99999", 2, 0),
        Hosts("localhost:1"),
        Hosts("", 0, 1),
    ],
)
def test_flags_that_do_not_fit_together_are_refused(flags):
    with pytest.raises(
        ValueError,
        match=r"--coordinator HOST:PORT, --processes N \(2 or more\) and --process I \(0 to N",
    ):
        flags.complete({})


@pytest.mark.parametrize(
    ("environment", "received"),
    [
        ({"SLURM_PROCID": None}, "SLURM_PROCID must be a number from 0 to 1, .* Received: no vari"),
        ({"SLURM_PROCID": "2"}, "SLURM_PROCID must be .* Received: 2"),
        ({"SLURM_PROCID": "-1"}, "SLURM_PROCID must be .* Received: -1"),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "many"}, "SLURM_NTASKS must be .* Received: many"),
    ],
)
def test_variables_of_slurm_that_are_missing_or_wrong_are_named(environment, received):
    given = {name: value for name, value in (SLURM | environment).items() if value is not None}
    with pytest.raises(ValueError, match=received) as error:
        Hosts().complete(given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", [None, "two", "2"])
def test_a_wrong_number_of_a_machine_of_a_pod_is_named(number):
    environment = POD | {"TPU_WORKER_ID": number}
    given = {name: value for name, value in environment.items() if value is not None}
    with pytest.raises(ValueError, match=r"TPU_WORKER_ID must be a number from 0 to 1, set for"):
        Hosts().complete(given)


def test_a_split_has_an_image_for_each_process():
    check_share(2, "validation", 2)
    with pytest.raises(ValueError, match=r"The test split must .* 2 processes. Received: 1 image"):
        check_share(1, "test", 2)
