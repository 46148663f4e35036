"""Loads LiteRT files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from activity_cli.errors import BundleError, MissingDependencyError
from activity_cli.quiet import native_output_silenced
from activity_cli.results import valid_text

__all__ = ["load_interpreter"]


def load_interpreter(path: Path, threads: int, *, accelerated: bool) -> Any:
    """The interpreter of a LiteRT file, ready to run.

    Args:
        path: The file.
        threads: Number of threads.
        accelerated: Whether to use the accelerator for processors (XNNPACK).

    Raises:
        BundleError: It is not a LiteRT model (``model.damaged``).
        MissingDependencyError: LiteRT cannot be loaded.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise MissingDependencyError(
            f"LiteRT cannot be loaded: {error}.", "Install it: pip install ai-edge-litert", code="dependency.litert"
        ) from error
    kernels = OpResolverType.BUILTIN if accelerated else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    # LiteRT opens only names that are UTF-8.
    given: dict[str, Any] = (
        {"model_content": path.read_bytes()} if valid_text(str(path)) != str(path) else {"model_path": str(path)}
    )
    try:
        with native_output_silenced():  # LiteRT prints its delegates
            interpreter = Interpreter(**given, num_threads=threads, experimental_op_resolver_type=kernels)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or ["it cannot be read"])[0].rstrip(".")
        raise BundleError(
            f"{path} is not a LiteRT model: {reason}.", "Train the model again.", code="model.damaged"
        ) from None
    return interpreter
