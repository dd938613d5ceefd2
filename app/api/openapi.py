"""The API's description, OpenAPI 3.1, made from the views and their contracts."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Flask, current_app
from flask.typing import ResponseReturnValue
from pydantic import TypeAdapter
from werkzeug.routing import AnyConverter, BaseConverter, IntegerConverter, Rule, UUIDConverter

from app.api.contract import Contract
from app.auth import policy

blueprint = Blueprint("openapi", __name__)

_REFS = "#/components/schemas/{model}"
_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "remedy": {"type": "string"},
        "field": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}


@blueprint.get("/api/v1/openapi.json")
@policy.anybody
def description() -> ResponseReturnValue:
    """Describe the API."""
    return describe(current_app)


def describe(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of all views with a contract, and of those of the tus protocol."""
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    paths: dict[str, dict[str, Any]] = {}
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        if (terms := getattr(view, "contract", None)) is not None:
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                operation = _operation(app, rule, terms, schemas)
                operation["parameters"] += _in_header(method, terms)
                paths.setdefault(path, {})[method.lower()] = operation
        elif (described := getattr(view, "described", None)) is not None:
            for method in (rule.methods or set()) - {"OPTIONS"}:
                paths.setdefault(path, {})[method.lower()] = _by_itself(app, rule, described)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cairn", "version": "1", "description": "Stockpiles with an honest ±."},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Problem": {
                    "description": "It was refused; the body says why and what helps (RFC 9457).",
                    "content": {
                        "application/problem+json": {
                            "schema": {"$ref": _REFS.format(model="Problem")}
                        }
                    },
                }
            },
        },
        "security": [{"token": []}],
    }


def _operation(app: Flask, rule: Rule, terms: Contract, schemas: dict[str, Any]) -> dict[str, Any]:
    found = policy.rule_of(app, rule.endpoint)
    operation: dict[str, Any] = _name(app, rule) | {
        "parameters": [*_in_path(rule), *_in_query(terms, schemas)],
        "responses": {
            str(terms.status): _response(terms, schemas),
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if terms.may_be_empty:
        operation["responses"]["204"] = {"description": "There is nothing."}
    if found is not None and found.who is policy.Who.ANYBODY:
        operation["security"] = []
    if terms.body is not None:
        operation["requestBody"] = _body("application/json", _schema(terms.body, schemas))
    elif terms.takes:
        operation["requestBody"] = _body(terms.takes, {"type": "string"})
    return operation


def _by_itself(app: Flask, rule: Rule, described: dict[str, Any]) -> dict[str, Any]:
    """What a view says of itself, with its name and the parts of its address."""
    refused = {"default": {"$ref": "#/components/responses/Problem"}}
    return (
        _name(app, rule)
        | described
        | {
            "parameters": [*_in_path(rule), *described["parameters"]],
            "responses": described["responses"] | refused,
        }
    )


def _name(app: Flask, rule: Rule) -> dict[str, Any]:
    view = app.view_functions[rule.endpoint]
    summary, _, more = (view.__doc__ or "").strip().partition("\n")
    return {
        "operationId": rule.endpoint.replace(".", "_"),
        "summary": summary.rstrip("."),
        "description": " ".join(more.split()),
        "tags": [rule.endpoint.partition(".")[0]],
    }


def _body(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {media_type: {"schema": schema}}}


def _in_header(method: str, terms: Contract) -> list[dict[str, Any]]:
    """What a method understands in headers; see `app.api.contract`."""
    if method == "POST":
        said = ("Idempotency-Key", "Sent again with the same key, the request is done once.")
    elif method == "PUT" and terms.answer is not None:
        said = ("If-Match", "The ETag that was read; another version is not overwritten (412).")
    else:
        return []
    name, text = said
    schema = {"type": "string", "maxLength": 200}
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": schema}
    ]


def _in_path(rule: Rule) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _kind(converter)}
        for name, converter in rule._converters.items()
    ]


def _kind(converter: BaseConverter) -> dict[str, Any]:
    if isinstance(converter, UUIDConverter):
        return {"type": "string", "format": "uuid"}
    if isinstance(converter, IntegerConverter):
        return {"type": "integer", "minimum": 0}
    if isinstance(converter, AnyConverter):
        return {"type": "string", "enum": sorted(converter.items)}
    return {"type": "string", "minLength": 1}


def _in_query(terms: Contract, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if terms.query is None:
        return []
    shape = terms.query.model_json_schema(ref_template=_REFS)
    _add(shape.pop("$defs", {}), schemas)
    return [
        {"name": name, "in": "query", "required": name in shape.get("required", ()), "schema": kind}
        for name, kind in shape.get("properties", {}).items()
    ]


def _response(terms: Contract, schemas: dict[str, Any]) -> dict[str, Any]:
    if terms.answer is not None:
        kind = {"schema": _schema(terms.answer, schemas)}
        return {"description": "Done.", "content": {"application/json": kind}}
    if terms.media_type != "application/json":
        return {"description": "The file.", "content": {terms.media_type: {}}}
    return {"description": "Done."}


def _schema(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    shape = TypeAdapter(kind).json_schema(ref_template=_REFS)
    named = shape.pop("$defs", {})
    name = getattr(kind, "__name__", "")
    if shape.get("type") == "object" and name:
        named[name] = shape
        shape = {"$ref": _REFS.format(model=name)}
    _add(named, schemas)
    return shape


def _add(named: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Add shapes; two of the same name would describe one of them wrongly."""
    for name, shape in named.items():
        if schemas.setdefault(name, shape) != shape:
            raise RuntimeError(f"Two shapes of the API are called {name}; rename one.")
