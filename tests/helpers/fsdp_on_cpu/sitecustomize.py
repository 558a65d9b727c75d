"""Lets Accelerate shard over CPU processes: found first on the PYTHONPATH of those that a test starts.

Accelerate takes up FSDP where its processes have GPUs, and on CPUs goes on with DDP and says nothing. Here processes on
CPUs are told to it as processes on GPUs while it decides. All else is its own: the launcher, the config file, wrapping,
the optimizer's parameters, clipping, checkpoints.
"""

import importlib.abc
import importlib.util
import sys


def _forced(state):
    made = state.AcceleratorState.__init__

    def as_on_gpus(self, mixed_precision=None, cpu=False, **arguments):
        world = state.PartialState(cpu=True)
        if world.distributed_type == state.DistributedType.MULTI_CPU:
            state.PartialState._shared_state["distributed_type"] = state.DistributedType.MULTI_GPU
        made(self, mixed_precision, cpu, **arguments)

    state.AcceleratorState.__init__ = as_on_gpus


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "accelerate.state":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            _forced(module)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _Finder())
