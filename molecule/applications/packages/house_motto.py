"""A library that is in the index of the house only."""

MOTTO = "Measure twice"
