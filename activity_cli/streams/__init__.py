"""A clip -> numbers for each frame. Today one stream: appearance, by a CNN.

May import the base packages; TensorFlow only where a network is built.
"""
