// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The management interface as an OpenAPI 3.1 document: what there is, and nothing else.

enum InterfaceDescription {
    static let json = """
        {
          "openapi": "3.1.0",
          "info": {
            "title": "mailhookd management",
            "version": "1"
          },
          "paths": {
            "/healthz": {
              "get": {"summary": "Whether the daemon runs", "responses": {"200": {"description": "Found",
                "content": {"application/json": {"schema": {"type": "object", "required": ["status"],
                "properties": {"status": {"type": "string"}}}}}}}, "security": []}
            },
            "/readyz": {
              "get": {"summary": "Whether the store can be read", "responses": {"200": {"description": "Found",
                "content": {"application/json": {"schema": {"type": "object", "required": ["status"],
                "properties": {"status": {"type": "string"}}}}}}, "503": {"description": "Not ready",
                "content": {"application/json": {"schema": {"type": "object", "required": ["status"],
                "properties": {"status": {"type": "string"}}}}}}}, "security": []}
            },
            "/v1/hooks/{type}": {
              "get": {"summary": "List hooks", "responses": {"200": {"description": "Found",
                "content": {"application/json": {"schema": {"type": "object", "required": ["meta", "data",
                "links"], "properties": {"meta": {"type": "object", "required": ["page", "pageSize"],
                "properties": {"page": {"type": "integer"}, "pageSize": {"type": "integer"}}},
                "data": {"type": "array", "items": {"$ref": "#/components/schemas/Hook"}},
                "links": {"type": "object", "properties": {"self": {"type": "string"}, "first": {"type": "string"},
                "prev": {"type": "string"}, "next": {"type": "string"}}}}}}}}, "400": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "404": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "401": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "403": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}}},
                "parameters": [{"name": "type", "in": "path", "required": true, "schema": {"type": "string",
                "enum": ["email", "form", "web"]}}, {"name": "page", "in": "query", "schema": {"type": "integer",
                "minimum": 1, "maximum": 10, "default": 1}}, {"name": "pageSize", "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": 99, "default": 50}}],
                "security": [{"key": []}], "description": "Needs the role org.permission.hook.read or org.admin.hook.read."}
            },
            "/v1/hooks/{type}/{id}": {
              "get": {"summary": "Read one hook by id or event name", "responses": {"200": {"description": "Found",
                "content": {"application/json": {"schema": {"type": "object", "required": ["data"],
                "properties": {"data": {"$ref": "#/components/schemas/Hook"}}}}}},
                "404": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "401": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "403": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}}},
                "parameters": [{"name": "type", "in": "path", "required": true, "schema": {"type": "string",
                "enum": ["email", "form", "web"]}}, {"name": "id", "in": "path", "required": true,
                "schema": {"type": "string"}}], "security": [{"key": []}],
                "description": "Needs the role org.permission.hook.read or org.admin.hook.read."}
            },
            "/v1/hooks/{type}/{id}/transactions": {
              "get": {"summary": "What a hook got in the last day (newest first)",
                "responses": {"200": {"description": "Found",
                "content": {"application/json": {"schema": {"type": "object", "required": ["meta", "data",
                "links"], "properties": {"meta": {"type": "object", "required": ["page", "pageSize"],
                "properties": {"page": {"type": "integer"}, "pageSize": {"type": "integer"}}},
                "data": {"type": "array", "items": {"$ref": "#/components/schemas/Transaction"}},
                "links": {"type": "object", "properties": {"self": {"type": "string"}, "first": {"type": "string"},
                "prev": {"type": "string"}, "next": {"type": "string"}}}}}}}}, "400": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "404": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "503": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "401": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "403": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}}},
                "parameters": [{"name": "type", "in": "path", "required": true, "schema": {"type": "string",
                "enum": ["email", "form", "web"]}}, {"name": "id", "in": "path", "required": true,
                "schema": {"type": "string"}}, {"name": "page", "in": "query", "schema": {"type": "integer",
                "minimum": 1, "maximum": 10, "default": 1}}, {"name": "pageSize", "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": 99, "default": 50}}],
                "security": [{"key": []}], "description": "Needs the role org.hooks."}
            },
            "/v1/events": {
              "get": {"summary": "List events (oldest first)", "responses": {"200": {"description": "Found",
                "content": {"application/json": {"schema": {"type": "object", "required": ["data", "links"],
                "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
                "links": {"type": "object", "properties": {"self": {"type": "string"}, "first": {"type": "string"},
                "prev": {"type": "string"}, "next": {"type": "string"}}}}}}}}, "400": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "503": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "401": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "403": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}}},
                "parameters": [{"name": "after", "in": "query", "schema": {"type": "integer", "minimum": 0,
                "maximum": 9223372036854775807, "default": 0}}, {"name": "limit", "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}}],
                "security": [{"key": []}], "description": "Needs the role org.permission.event.read."}
            },
            "/v1/events/{id}": {
              "get": {"summary": "Read one event", "responses": {"200": {"description": "Found",
                "content": {"application/json": {"schema": {"type": "object", "required": ["data"],
                "properties": {"data": {"$ref": "#/components/schemas/Event"}}}}}},
                "404": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "503": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "401": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}},
                "403": {"description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}}},
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
                "security": [{"key": []}], "description": "Needs the role org.permission.event.read."}
            },
            "/v1/openapi.json": {
              "get": {"summary": "This document", "responses": {"200": {"description": "Found",
                "content": {"application/json": {"schema": {"type": "object"}}}}}, "security": []}
            }
          },
          "components": {
            "securitySchemes": {
              "key": {"type": "http", "scheme": "bearer", "description": "An API key made by mailhookd keys create"}
            },
            "schemas": {
              "Errors": {"type": "object", "required": ["errors"], "properties": {"errors": {"type": "array",
                "items": {"type": "object", "required": ["code", "message"],
                "properties": {"code": {"type": "string"}, "message": {"type": "string"}}}}}},
              "Hook": {"type": "object", "required": ["id", "type", "attributes", "relationships", "links"],
                "properties": {"id": {"type": "string"}, "type": {"type": "string", "enum": ["email_hook",
                "form_hook", "web_hook"]}, "attributes": {"type": "object", "required": ["title", "eventName",
                "hash", "app"], "properties": {"title": {"type": "string"}, "description": {"type": "string"},
                "email": {"type": "string"}, "url": {"type": "string"}, "eventName": {"type": "string"},
                "hash": {"type": "string"}, "key": {"type": "string"}, "app": {"type": "string"}}},
                "relationships": {"type": "object"}, "links": {"type": "object",
                "properties": {"self": {"type": "string"}, "first": {"type": "string"}, "prev": {"type": "string"},
                "next": {"type": "string"}}}}},
              "Transaction": {"type": "object", "required": ["id", "type", "attributes", "relationships", "links"],
                "properties": {"id": {"type": "string"}, "type": {"type": "string", "const": "hook_transaction"},
                "attributes": {"type": "object", "required": ["data", "createdAt"],
                "properties": {"createdAt": {"type": "string"}}}, "relationships": {"type": "object"},
                "links": {"type": "object", "properties": {"self": {"type": "string"}, "first": {"type": "string"},
                "prev": {"type": "string"}, "next": {"type": "string"}}}}},
              "Event": {"type": "object", "required": ["id", "type", "attributes", "meta", "links"],
                "properties": {"id": {"type": "string"}, "type": {"type": "string", "const": "event"},
                "attributes": {"type": "object", "description": "CloudEvents 1.0"}, "meta": {"type": "object",
                "required": ["sequence"], "properties": {"sequence": {"type": "integer"}}},
                "links": {"type": "object", "properties": {"self": {"type": "string"}, "first": {"type": "string"},
                "prev": {"type": "string"}, "next": {"type": "string"}}}}}
            }
          }
        }
        """
}
