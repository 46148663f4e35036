"""One video file on disk, read as frames."""
