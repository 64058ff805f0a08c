"""Thousands of pictures: each a task that can be done anywhere, twice if it must, and is kept once whole.

`plan.py` says what is to be made, `maker.py` makes one of it in a worker, `folder.py` keeps what is made and
knows what is missing, `work.py` hands tasks out and takes them back. The engines only move tasks: processes
here (`local.py`), Ray (`on_ray.py`) or Dask (`on_dask.py`).
"""
