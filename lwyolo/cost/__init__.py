"""What a model costs on paper, without a clock."""
