"""MLflow's tracking server and registry over its own client; the only place that imports mlflow, and only when asked.

:mod:`server` connects and turns failures into clear errors, :mod:`reading` finds what is there and gives it as
:mod:`manual_registry.core.handover.entities`, :mod:`writing` writes what is missing, :mod:`files` moves files and hashes
them. mlflow-skinny is enough.
"""
