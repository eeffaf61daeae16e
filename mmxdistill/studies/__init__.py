"""Studies: rows of trainings and tests, run by Snakemake, and their report.

A study declares its rows once and gets from them its commands, a run that
can be stopped at any moment, and the numbers for its report::

    rows = [
        Training(name='rgb', config='fast_rcnn/...', shows='...', seconds=90),
        Evaluation(name='test', config='fast_rcnn/...', tests='rgb', ...),
    ]
    steps = [
        step
        for seed in seeds
        for step in make_steps(rows, Path('work_dirs/study'), seed, TOOLS)
    ]
    run_steps(steps, TOOLS / 'Snakefile', cores=2)
    metrics = read_metrics(Path('work_dirs/study/seed_0/test'))

:mod:`~mmxdistill.studies.quickstart` is one. Nothing else of the package
imports this one.
"""
