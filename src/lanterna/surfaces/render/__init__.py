"""Render thousands of pictures as tasks that can run anywhere, be repeated, and are saved one by one.

`plan.py` lists the tasks of a run, `renderer.py` renders one of them in a worker, `folder.py` saves the
results and knows what is missing, `scheduler.py` hands tasks to workers and collects the results. The
engines only move tasks: to processes on this machine (`local_engine.py`), Ray (`ray_engine.py`) or Dask
(`dask_engine.py`).
"""
