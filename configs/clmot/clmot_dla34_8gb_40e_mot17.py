# What this run changes: a card of 8 GB. Two pictures at a time, four times before a step: eight in a step, as in the
# paper, and so its learning rate. BatchNorm sees two pictures at a time; the contrast is within a picture anyway.
# Memory: docs/memory_and_time.md.
_base_ = "./clmot_dla34_40e_mot17.py"
batch_size, accumulated = 2, 4

train_dataloader = dict(batch_size=batch_size)
optim_wrapper = dict(accumulative_counts=accumulated)
