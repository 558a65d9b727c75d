"""The chain: the stages in order, each skipped, resumed or started, in processes of their own, and recorded.

`run.py` takes it from the top; `run_folder.py` decides, by `records.py` (how far a stage is), `reads.py` (what it read
and was made of) and `code_files.py` (the code behind a name); `own.py` knows what in a folder is the run's.
`launch.py`, `events.py`, `stage_process.py` and `ranks.py` are its processes; `manifest.py` is what it tells.
"""
