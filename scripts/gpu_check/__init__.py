"""The parts of `scripts/gpu_check.py`: a supervisor that keeps the time, a worker that does the work, the sections."""
