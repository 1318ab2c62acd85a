"""Data: readers and converters of annotation files, data sets, transforms, and the rendered demo data.

The data sets and transforms need mmdet and are registered by ``clmot_qd.registration``; the readers do not.
"""
