"""What is learned from, and how it reaches the model."""
