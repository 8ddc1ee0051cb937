"""What the register is in MLflow's terms, both ways; pure, and served to every way of moving it.

:mod:`limits` knows what MLflow takes and what is done with the rest, :mod:`entities` MLflow's objects as plain values,
:mod:`record` the whole record as a file, :mod:`mapping` the way there and back, :mod:`flavours` how a model file is told
without loading it, :mod:`comparing` what differs and who changed it.
"""
