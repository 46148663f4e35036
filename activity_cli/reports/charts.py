from pathlib import Path


def training_curves(records, best_epoch, path: Path) -> None:
    path.write_bytes(b"")
