"""What a trial can change: data, rates, loss or network (`network`), one thing at a time."""

from kcnn.callbacks.doctor.interventions._intervention import AS_IT_IS, Edit, Intervention

__all__ = ["AS_IT_IS", "Edit", "Intervention"]
