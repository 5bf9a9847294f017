"""What can be wrong with a data set: one function a rule, found by being there, and what Ultralytics does about it."""
