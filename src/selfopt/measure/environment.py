"""What is observed about a model while it is measured, and whether two observations can be the same thing."""

from __future__ import annotations

from selfopt.records import Environment, ModelStatus, Spec

__all__ = ["compatible", "known_fields", "observe"]


def observe(spec: Spec, status: ModelStatus, hardware: str) -> Environment:
    """The environment that a server's status speaks of."""
    return Environment(
        endpoint=spec.endpoint,
        model=spec.model,
        digest=status.digest,
        quantization=status.quantization,
        template_hash=status.template_hash,
        engine=status.engine,
        engine_build=status.engine_build,
        slots=status.slots,
        context_size=status.context_size,
        hardware=hardware,
    )


def known_fields(environment: Environment) -> dict[str, object]:
    """What is not hidden. A server tells less about a model that it has not loaded yet."""
    return {k: v for k, v in environment.model_dump().items() if v is not None and v != "unknown"}


def compatible(one: Environment, other: Environment) -> bool:
    """Whether both can be observations of one environment: nothing that both tell differs."""
    a, b = known_fields(one), known_fields(other)
    return all(b[name] == value for name, value in a.items() if name in b)
