"""Studies: rows of trainings and tests, run by Snakemake, and their report.

A study declares its jobs once (:mod:`~mmxdistill.studies.jobs`);
:mod:`~mmxdistill.studies.engine` runs what of them is missing, and
:mod:`~mmxdistill.studies.results` reads what came out. Nothing else of the
package imports this one.
"""
