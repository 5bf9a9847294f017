"""The only package that touches Ultralytics' engine: the seam, the model, the trainer."""
