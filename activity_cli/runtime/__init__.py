"""The trained model without TensorFlow."""
