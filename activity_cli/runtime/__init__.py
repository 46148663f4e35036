"""The trained model in LiteRT, without TensorFlow.

May import the base packages only.
"""
