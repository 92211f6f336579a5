"""A Terraform provider that knows a schema and touches nothing.

``python stub_provider.py aws`` serves ``schemas/aws.json`` over Terraform's plugin protocol
(version 6), so that ``init``, ``validate`` and ``test`` with mock providers check names, types
and required arguments against what the provider of that version takes, with no network.
``plan`` and ``apply`` of it answer what they are given. Rules on values that live in the
provider's own code are not known here.

Runs in an environment of its own, which has the package tf (its protocol stubs want an older
protobuf than TensorFlow) and none of this library.

Source: Terraform documentation, "Terraform Plugin Protocol"; tfplugin6.proto.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgpack
import tf.provider
import tf.runner
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

_SCHEMAS = Path(__file__).parent / "schemas"
_NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}
_UNKNOWN = msgpack.ExtType(0, b"\x00")


class StubProvider(rpc.ProviderServicer):  # type: ignore[misc]
    """Answers what Terraform asks of a provider, from a schema alone."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema

    def GetMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.GetMetadata.Response(
            server_capabilities=pb.ServerCapabilities(),
            resources=[
                pb.GetMetadata.ResourceMetadata(type_name=name)
                for name in self._schema["resources"]
            ],
            data_sources=[
                pb.GetMetadata.DataSourceMetadata(type_name=name)
                for name in self._schema["data_sources"]
            ],
        )

    def GetProviderSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.GetProviderSchema.Response(
            provider=_schema_of(self._schema["provider"]),
            resource_schemas=_schemas_of(self._schema["resources"]),
            data_source_schemas=_schemas_of(self._schema["data_sources"]),
        )

    def GetFunctions(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.GetFunctions.Response()

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ConfigureProvider.Response()

    def StopProvider(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.StopProvider.Response()

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.UpgradeResourceState.Response(
            upgraded_state=pb.DynamicValue(json=request.raw_state.json)
        )

    def ReadResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:  # noqa: N802
        planned = msgpack.unpackb(request.proposed_new_state.msgpack, strict_map_key=False)
        if planned is not None:
            _mark_unknown(self._schema["resources"][request.type_name], planned)
        return pb.PlanResourceChange.Response(
            planned_state=pb.DynamicValue(msgpack=msgpack.packb(planned))
        )


def _mark_unknown(block: dict[str, Any], value: dict[str, Any]) -> None:
    """Mark what only the store would know as not known yet."""
    for name, attribute in block["attributes"].items():
        if attribute["computed"] and value.get(name) is None:
            value[name] = _UNKNOWN
    for name, nested in block["blocks"].items():
        for each in value.get(name) or []:
            if isinstance(each, dict):
                _mark_unknown(nested["block"], each)


def _schemas_of(blocks: dict[str, Any]) -> dict[str, Any]:
    return {name: _schema_of(block) for name, block in blocks.items()}


def _schema_of(block: dict[str, Any]) -> Any:
    return pb.Schema(version=0, block=_block(block))


def _block(block: dict[str, Any]) -> Any:
    return pb.Schema.Block(
        attributes=[
            pb.Schema.Attribute(
                name=name,
                type=json.dumps(_type(attribute["type"])).encode(),
                required=attribute["required"],
                optional=attribute["optional"] and not attribute["required"],
                computed=attribute["computed"] and not attribute["required"],
            )
            for name, attribute in sorted(block["attributes"].items())
        ],
        block_types=[_nested(name, nested) for name, nested in sorted(block["blocks"].items())],
    )


def _nested(name: str, nested: dict[str, Any]) -> Any:
    counted = nested["nesting"] in {"list", "set"}
    return pb.Schema.NestedBlock(
        type_name=name,
        block=_block(nested["block"]),
        nesting=_NESTING[nested["nesting"]],
        min_items=nested["min"] if counted else 0,
        max_items=nested["max"] if counted else 0,
    )


def _type(name: Any) -> Any:
    """Return a type as Terraform writes it; what the schema could not tell is a string."""
    if isinstance(name, str):
        return "string" if name == "dynamic" else name
    kind, of = name
    if kind == "object":
        return [kind, {key: _type(each) for key, each in of.items()}]
    return [kind, _type(of)]


def main() -> None:
    """Serve the schema that the command line names."""
    schema = json.loads((_SCHEMAS / f"{sys.argv[1]}.json").read_text(encoding="utf-8"))
    # The package wraps a provider that is written in its own way: this one speaks for itself.
    tf.provider.ProviderServicer = lambda _: StubProvider(schema)
    tf.runner.run_provider(None, sys.argv[:1])


if __name__ == "__main__":
    main()
