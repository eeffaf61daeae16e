"""From published archives to data sets of pairs.

A library: ``tools/dataset_converters`` are its command lines.
"""
