"""What a model costs on a clock."""
