"""``python -m reconstruction.sfm.colmap_mapping``: one of COLMAP's mappers, as a program.

A mapper works for minutes and listens to nobody. As a process of its own it can be ended at any
time, and if it dies it does not take a survey with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pycolmap

from reconstruction.sfm.colmap import GLOBAL, SEED


def main(arguments: list[str]) -> None:
    """Map a database with a mapper; each model goes to a numbered folder of the output."""
    mapper, database, output, jobs, free_focal = arguments
    pycolmap.logging.minloglevel = int(pycolmap.logging.Level.WARNING)
    Path(output).mkdir()
    if mapper == GLOBAL:
        _map_globally(Path(database), Path(output), int(jobs))
    else:
        _map_incrementally(Path(database), Path(output), int(jobs), bool(int(free_focal)))


def _map_globally(path: Path, output: Path, jobs: int) -> None:
    options = pycolmap.GlobalPipelineOptions()
    options.num_threads = jobs
    options.random_seed = SEED
    options.image_path = ""  # else it would read all photos for their colours
    options.mapper.skip_retriangulation = True
    options.mapper.bundle_adjustment.refine_focal_length = False
    options.mapper.bundle_adjustment.ceres.use_gpu = False
    options.mapper.global_positioning.use_gpu = False
    manager = pycolmap.ReconstructionManager()
    with pycolmap.Database.open(path) as database:
        pycolmap.GlobalPipeline(options, database, manager).run()
    for index in range(manager.size()):
        folder = output / str(index)
        folder.mkdir()
        manager.get(index).write(folder)


def _map_incrementally(path: Path, output: Path, jobs: int, free_focal: bool) -> None:
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads = jobs
    options.random_seed = SEED
    options.extract_colors = False
    options.min_model_size = 3
    options.ba_refine_focal_length = free_focal
    options.mapper.abs_pose_refine_focal_length = free_focal
    pycolmap.incremental_mapping(path, path.parent, output, options)


if __name__ == "__main__":
    main(sys.argv[1:])
