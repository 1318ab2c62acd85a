"""Drawing of the labelled demo street: looks, cloth patterns, figures, background, motion and whole scenes.

The data set that is made of these scenes is written by :mod:`clmot_qd.datasets.demo_scenes`.
"""
