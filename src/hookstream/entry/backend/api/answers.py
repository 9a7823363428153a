"""Decodes answers of the API by the types of its routes; for partners, operators' fields are absent."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec.inspect import (
    BoolType,
    DictType,
    FloatType,
    IntType,
    ListType,
    Metadata,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

from hookstream.errors import DependencyUnavailable

T = TypeVar("T")


def read_answer(body: bytes, into: type[T]) -> T:
    """Return an answer as a value of its type.

    An absent field, which only operators see, has the empty value of its type.

    Raises:
        DependencyUnavailable: It is not of this type: the console may have another release.
    """
    try:
        document = msgspec.json.decode(body)
        return msgspec.convert(_completed(document, type_info(into)), into)
    except msgspec.MsgspecError as error:
        raise DependencyUnavailable(
            f"the API's answer cannot be read; the console may have another release: {error}"
        ) from None


def _completed(value: Any, kind: Type) -> Any:  # noqa: ANN401  any JSON
    """Return a document with the empty value for each absent field of operators."""
    match kind:
        case Metadata(type=inner):
            return _completed(value, inner)
        case StructType() if isinstance(value, dict):
            return _completed_struct(value, kind)
        case VarTupleType(item_type=item) | ListType(item_type=item) if isinstance(value, list):
            return [_completed(each, item) for each in value]
        case DictType(value_type=item) if isinstance(value, dict):
            return {name: _completed(each, item) for name, each in value.items()}
        case UnionType(types=types) if value is not None:
            wanted = VarTupleType | ListType if isinstance(value, list) else StructType
            fit = [each for each in types if isinstance(each, wanted)]
            return _completed(value, fit[0]) if len(fit) == 1 else value
        case _:
            return value


def _completed_struct(value: dict[str, Any], kind: StructType) -> dict[str, Any]:
    found = dict(value)
    for field in kind.fields:
        name = field.encode_name
        if name in found:
            found[name] = _completed(found[name], field.type)
        elif field.required and _is_for_operators(field.type):
            found[name] = _empty(field.type)
    return found


def _is_for_operators(kind: Type) -> bool:
    if not isinstance(kind, Metadata):
        return False
    extra: Mapping[str, object] = kind.extra_json_schema or {}
    return "x-scope" in extra or _is_for_operators(kind.type)


def _empty(kind: Type) -> Any:  # noqa: ANN401  any JSON
    match kind:
        case Metadata(type=inner):
            return _empty(inner)
        case UnionType(types=types) if any(isinstance(each, NoneType) for each in types):
            return None
        case StrType():
            return ""
        case BoolType():
            return False
        case IntType() | FloatType():
            return 0
        case VarTupleType() | ListType():
            return []
        case DictType():
            return {}
        case _:
            return None
