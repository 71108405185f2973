// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The management interface as an OpenAPI 3.1 document: what there is, and nothing else.

enum InterfaceDescription {
    static let json = #"""
        {
          "openapi": "3.1.0", "info": {"title": "mailhookd management", "version": "1"},
          "paths": {
            "/healthz": {
              "get": {
                "summary": "Whether the daemon runs",
                "responses": {
                  "200": {
                    "description": "It does",
                    "content": {
                      "application/json": {
                        "schema": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
                      }
                    }
                  }
                },
                "security": []
              }
            },
            "/readyz": {
              "get": {
                "summary": "Whether the store can be read",
                "responses": {
                  "200": {
                    "description": "It can",
                    "content": {
                      "application/json": {
                        "schema": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
                      }
                    }
                  },
                  "503": {
                    "description": "Not ready",
                    "content": {
                      "application/json": {
                        "schema": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
                      }
                    }
                  }
                },
                "security": []
              }
            },
            "/v1/hooks/{type}": {
              "get": {
                "summary": "List hooks",
                "description": "Needs the role org.permission.hook.read or org.admin.hook.read.",
                "parameters": [
                  {"$ref": "#/components/parameters/type"}, {"$ref": "#/components/parameters/page"},
                  {"$ref": "#/components/parameters/pageSize"}
                ],
                "responses": {
                  "200": {
                    "description": "Found",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object", "required": ["meta", "data", "links"],
                          "properties": {
                            "meta": {
                              "type": "object", "required": ["page", "pageSize"],
                              "properties": {"page": {"type": "integer"}, "pageSize": {"type": "integer"}}
                            },
                            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Hook"}},
                            "links": {"$ref": "#/components/schemas/Links"}
                          }
                        }
                      }
                    }
                  },
                  "400": {"$ref": "#/components/responses/Refused"},
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"}, "404": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              },
              "post": {
                "summary": "Make a hook",
                "description": "Needs the role org.permission.hook.create or org.admin.hook.write.",
                "parameters": [{"$ref": "#/components/parameters/type"}],
                "requestBody": {
                  "required": true,
                  "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewHook"}}}
                },
                "responses": {
                  "201": {
                    "description": "Made; takes what comes",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object", "required": ["data"],
                          "properties": {"data": {"$ref": "#/components/schemas/Hook"}}
                        }
                      }
                    },
                    "links": {
                      "rotate": {
                        "operationId": "rotateHook",
                        "parameters": {"type": "$request.path.type", "id": "$response.body#/data/id"}
                      }
                    }
                  },
                  "400": {"$ref": "#/components/responses/Refused"},
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"},
                  "404": {"$ref": "#/components/responses/Refused"},
                  "409": {"$ref": "#/components/responses/Refused"},
                  "413": {"$ref": "#/components/responses/Refused"}, "503": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              }
            },
            "/v1/hooks/{type}/{id}": {
              "get": {
                "summary": "Read one hook by id or event name",
                "description": "Needs the role org.permission.hook.read or org.admin.hook.read.",
                "parameters": [{"$ref": "#/components/parameters/type"}, {"$ref": "#/components/parameters/hook"}],
                "responses": {
                  "200": {
                    "description": "Found",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object", "required": ["data"],
                          "properties": {"data": {"$ref": "#/components/schemas/Hook"}}
                        }
                      }
                    }
                  },
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"}, "404": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              },
              "patch": {
                "summary": "Change a hook",
                "description": "Needs the role org.permission.hook.update or org.admin.hook.write.",
                "parameters": [{"$ref": "#/components/parameters/type"}, {"$ref": "#/components/parameters/hook"}],
                "requestBody": {
                  "required": true,
                  "content": {"application/json": {"schema": {"$ref": "#/components/schemas/HookChange"}}}
                },
                "responses": {
                  "200": {
                    "description": "Changed",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object", "required": ["data"],
                          "properties": {"data": {"$ref": "#/components/schemas/Hook"}}
                        }
                      }
                    }
                  },
                  "400": {"$ref": "#/components/responses/Refused"},
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"},
                  "404": {"$ref": "#/components/responses/Refused"},
                  "409": {"$ref": "#/components/responses/Refused"},
                  "413": {"$ref": "#/components/responses/Refused"}, "503": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              },
              "delete": {
                "summary": "Remove a hook that was made here",
                "description": "Needs the role org.permission.hook.delete or org.admin.hook.write.",
                "parameters": [{"$ref": "#/components/parameters/type"}, {"$ref": "#/components/parameters/hook"}],
                "responses": {
                  "204": {"description": "Removed"}, "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"},
                  "404": {"$ref": "#/components/responses/Refused"},
                  "409": {"$ref": "#/components/responses/Refused"}, "503": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              }
            },
            "/v1/hooks/{type}/{id}/rotate": {
              "post": {
                "operationId": "rotateHook", "summary": "Give a hook a new address and key",
                "description": "Needs the role org.permission.hook.update or org.admin.hook.write.",
                "parameters": [{"$ref": "#/components/parameters/type"}, {"$ref": "#/components/parameters/hook"}],
                "requestBody": {
                  "required": false,
                  "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Rotation"}}}
                },
                "responses": {
                  "200": {
                    "description": "Changed",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object", "required": ["data"],
                          "properties": {"data": {"$ref": "#/components/schemas/Hook"}}
                        }
                      }
                    }
                  },
                  "400": {"$ref": "#/components/responses/Refused"},
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"},
                  "404": {"$ref": "#/components/responses/Refused"},
                  "409": {"$ref": "#/components/responses/Refused"},
                  "413": {"$ref": "#/components/responses/Refused"}, "503": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              }
            },
            "/v1/hooks/{type}/{id}/transactions": {
              "get": {
                "summary": "What a hook got in the last day while debug was set (newest first)",
                "description": "Needs the role org.hooks. A hook without debug shows nothing.",
                "parameters": [
                  {"$ref": "#/components/parameters/type"}, {"$ref": "#/components/parameters/hook"},
                  {"$ref": "#/components/parameters/page"}, {"$ref": "#/components/parameters/pageSize"}
                ],
                "responses": {
                  "200": {
                    "description": "Found",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object", "required": ["meta", "data", "links"],
                          "properties": {
                            "meta": {
                              "type": "object", "required": ["page", "pageSize"],
                              "properties": {"page": {"type": "integer"}, "pageSize": {"type": "integer"}}
                            },
                            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Transaction"}},
                            "links": {"$ref": "#/components/schemas/Links"}
                          }
                        }
                      }
                    }
                  },
                  "400": {"$ref": "#/components/responses/Refused"},
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"},
                  "404": {"$ref": "#/components/responses/Refused"}, "503": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              }
            },
            "/v1/events": {
              "get": {
                "summary": "List events (oldest first)", "description": "Needs the role org.permission.event.read.",
                "parameters": [
                  {"$ref": "#/components/parameters/after"}, {"$ref": "#/components/parameters/limit"},
                  {"$ref": "#/components/parameters/hookName"}, {"$ref": "#/components/parameters/since"},
                  {"$ref": "#/components/parameters/until"}, {"$ref": "#/components/parameters/outcome"}
                ],
                "responses": {
                  "200": {
                    "description": "Found",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object", "required": ["data", "links"],
                          "properties": {
                            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
                            "links": {"$ref": "#/components/schemas/Links"}
                          }
                        }
                      }
                    }
                  },
                  "400": {"$ref": "#/components/responses/Refused"},
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"}, "503": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              }
            },
            "/v1/events/{id}": {
              "get": {
                "summary": "Read one event", "description": "Needs the role org.permission.event.read.",
                "parameters": [{"$ref": "#/components/parameters/event"}],
                "responses": {
                  "200": {
                    "description": "Found",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object", "required": ["data"],
                          "properties": {"data": {"$ref": "#/components/schemas/Event"}}
                        }
                      }
                    }
                  },
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"},
                  "404": {"$ref": "#/components/responses/Refused"}, "503": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              }
            },
            "/v1/events/{id}/deliveries": {
              "get": {
                "summary": "Deliveries of an event", "description": "Needs the role org.permission.event.read.",
                "parameters": [{"$ref": "#/components/parameters/event"}],
                "responses": {
                  "200": {
                    "description": "Found",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object", "required": ["data", "links"],
                          "properties": {
                            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Delivery"}},
                            "links": {"$ref": "#/components/schemas/Links"}
                          }
                        }
                      }
                    }
                  },
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"},
                  "404": {"$ref": "#/components/responses/Refused"}, "503": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              }
            },
            "/v1/events/{id}/message": {
              "get": {
                "summary": "The message that led to an event",
                "description": "Needs the role org.permission.message.read.",
                "parameters": [{"$ref": "#/components/parameters/event"}],
                "responses": {
                  "200": {
                    "description": "Found",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object", "required": ["data"],
                          "properties": {"data": {"$ref": "#/components/schemas/Message"}}
                        }
                      }
                    }
                  },
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"},
                  "404": {"$ref": "#/components/responses/Refused"}, "503": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              }
            },
            "/v1/messages/{id}": {
              "get": {
                "summary": "Read about one message", "description": "Needs the role org.permission.message.read.",
                "parameters": [{"$ref": "#/components/parameters/message"}],
                "responses": {
                  "200": {
                    "description": "Found",
                    "content": {
                      "application/json": {
                        "schema": {
                          "type": "object", "required": ["data"],
                          "properties": {"data": {"$ref": "#/components/schemas/Message"}}
                        }
                      }
                    }
                  },
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"},
                  "404": {"$ref": "#/components/responses/Refused"}, "503": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              }
            },
            "/v1/messages/{id}/raw": {
              "get": {
                "summary": "A message as it came", "description": "Needs the role org.permission.message.read.",
                "parameters": [{"$ref": "#/components/parameters/message"}],
                "responses": {
                  "200": {
                    "description": "A mail, or the Content-Type and body of a post",
                    "content": {"message/rfc822": {}, "application/octet-stream": {}}
                  },
                  "401": {"$ref": "#/components/responses/Refused"},
                  "403": {"$ref": "#/components/responses/Refused"},
                  "404": {"$ref": "#/components/responses/Refused"},
                  "410": {"$ref": "#/components/responses/Refused"}, "503": {"$ref": "#/components/responses/Refused"}
                },
                "security": [{"key": []}]
              }
            },
            "/v1/openapi.json": {
              "get": {
                "summary": "This document",
                "responses": {"200": {"description": "Found", "content": {"application/json": {"schema": {"type": "object"}}}}},
                "security": []
              }
            }
          },
          "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key made by mailhookd keys create"}},
            "responses": {
              "Refused": {
                "description": "Refused",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}
              }
            },
            "parameters": {
              "type": {
                "name": "type", "in": "path", "required": true,
                "schema": {"type": "string", "enum": ["email", "form", "web"]}
              },
              "hook": {
                "name": "id", "in": "path", "required": true, "schema": {"type": "string"},
                "description": "Id or event name"
              },
              "event": {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
              "message": {
                "name": "id", "in": "path", "required": true,
                "schema": {"type": "integer", "minimum": 0, "maximum": 9223372036854775807}
              },
              "page": {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1}},
              "pageSize": {
                "name": "pageSize", "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": 99, "default": 50}
              },
              "after": {
                "name": "after", "in": "query",
                "schema": {"type": "integer", "minimum": 0, "maximum": 9223372036854775807, "default": 0},
                "description": "A position; links.next has the one to go on from"
              },
              "limit": {
                "name": "limit", "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": 500, "default": 100},
                "description": "A page may be shorter and have a next all the same"
              },
              "hookName": {"name": "hook", "in": "query", "schema": {"type": "string"}, "description": "Event name"},
              "since": {
                "name": "since", "in": "query", "schema": {"type": "string", "format": "date-time"},
                "description": "Events of this time or later"
              },
              "until": {
                "name": "until", "in": "query", "schema": {"type": "string", "format": "date-time"},
                "description": "Events before this time"
              },
              "outcome": {"name": "outcome", "in": "query", "schema": {"type": "string", "enum": ["accepted", "output_invalid"]}}
            },
            "schemas": {
              "Errors": {
                "type": "object", "required": ["errors"],
                "properties": {
                  "errors": {
                    "type": "array",
                    "items": {
                      "type": "object", "required": ["code", "message"],
                      "properties": {"code": {"type": "string"}, "message": {"type": "string"}}
                    }
                  }
                }
              },
              "Links": {"type": "object", "additionalProperties": {"type": "string"}},
              "NewHook": {
                "type": "object", "required": ["title"], "additionalProperties": false,
                "properties": {
                  "title": {"type": "string", "minLength": 1, "maxLength": 255},
                  "description": {"type": "string", "maxLength": 4000},
                  "eventName": {
                    "type": "string", "minLength": 1, "maxLength": 200,
                    "pattern": "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$",
                    "description": "A name without the prefix kustomer. gets kustomer.app.api. before it; none: kustomer.hooks.TYPE.ID.receive"
                  },
                  "outputTemplate": {"type": "object", "description": "As in triggers of app definitions"},
                  "outputSchema": {
                    "type": "object",
                    "description": "JSON Schema 2020-12 or 7 for what outputTemplate makes; 409 where it can't be used"
                  }
                }
              },
              "HookChange": {
                "type": "object", "additionalProperties": false,
                "properties": {
                  "title": {"type": "string", "minLength": 1, "maxLength": 255},
                  "description": {"type": "string", "maxLength": 4000},
                  "debug": {"type": "boolean", "description": "Transactions of the next 24 hours can be read"},
                  "state": {"type": "string", "enum": ["active", "paused", "disabled"]}
                }
              },
              "Rotation": {
                "type": "object", "additionalProperties": false,
                "properties": {
                  "overlap": {
                    "type": "integer", "minimum": 0, "maximum": 7776000, "default": 86400,
                    "description": "Seconds for which the old address and key are taken, too"
                  }
                }
              },
              "Hook": {
                "type": "object", "required": ["id", "type", "attributes", "relationships", "links"],
                "properties": {
                  "id": {"type": "string"},
                  "type": {"type": "string", "enum": ["email_hook", "form_hook", "web_hook"]},
                  "attributes": {
                    "type": "object", "required": ["title", "eventName", "hash", "app", "state", "debug"],
                    "properties": {
                      "title": {"type": "string"}, "description": {"type": "string"}, "email": {"type": "string"},
                      "url": {"type": "string"}, "eventName": {"type": "string"}, "hash": {"type": "string"},
                      "key": {"type": "string"}, "app": {"type": "string"},
                      "state": {"type": "string", "enum": ["active", "paused", "disabled"]},
                      "debug": {"type": "boolean"}, "previousAddress": {"type": "string"},
                      "previousUntil": {"type": "string", "format": "date-time"},
                      "createdAt": {"type": "string", "format": "date-time"},
                      "modifiedAt": {"type": "string", "format": "date-time"},
                      "updatedAt": {"type": "string", "format": "date-time"}
                    }
                  },
                  "relationships": {"type": "object"}, "links": {"$ref": "#/components/schemas/Links"}
                }
              },
              "Transaction": {
                "type": "object", "required": ["id", "type", "attributes", "relationships", "links"],
                "properties": {
                  "id": {"type": "string"}, "type": {"type": "string", "const": "hook_transaction"},
                  "attributes": {
                    "type": "object", "required": ["data", "createdAt"],
                    "properties": {"createdAt": {"type": "string", "format": "date-time"}}
                  },
                  "relationships": {"type": "object"}, "links": {"$ref": "#/components/schemas/Links"}
                }
              },
              "Event": {
                "type": "object", "required": ["id", "type", "attributes", "meta", "links"],
                "properties": {
                  "id": {"type": "string"}, "type": {"type": "string", "const": "event"},
                  "attributes": {"type": "object", "description": "CloudEvents 1.0"},
                  "meta": {"type": "object", "required": ["sequence"], "properties": {"sequence": {"type": "integer"}}},
                  "links": {"$ref": "#/components/schemas/Links"}
                }
              },
              "Message": {
                "type": "object", "required": ["id", "type", "attributes", "links"],
                "properties": {
                  "id": {"type": "string"}, "type": {"type": "string", "const": "message"},
                  "attributes": {
                    "type": "object",
                    "required": ["receivedAt", "intake", "recipients", "answer", "size", "isKept", "verdicts"],
                    "properties": {
                      "receivedAt": {"type": "string", "format": "date-time"}, "intake": {"type": "string"},
                      "mailFrom": {"type": "string"}, "recipients": {"type": "array", "items": {"type": "string"}},
                      "peer": {"type": "string"}, "messageId": {"type": "string"}, "duplicateOf": {"type": "string"},
                      "answer": {"type": "string"}, "size": {"type": "integer"}, "isKept": {"type": "boolean"},
                      "verdicts": {
                        "type": "array",
                        "items": {
                          "type": "object", "required": ["hook", "recipient", "outcome", "answer", "events"],
                          "properties": {
                            "hook": {"type": "string"}, "recipient": {"type": "string"},
                            "outcome": {"type": "string"}, "answer": {"type": "string"}, "events": {"type": "integer"}
                          }
                        }
                      }
                    }
                  },
                  "links": {"$ref": "#/components/schemas/Links"}
                }
              },
              "Delivery": {
                "type": "object", "required": ["id", "type", "attributes"],
                "properties": {
                  "id": {"type": "string"}, "type": {"type": "string", "const": "delivery"},
                  "attributes": {
                    "type": "object", "required": ["subscription", "state", "attempts", "createdAt", "changedAt"],
                    "properties": {
                      "subscription": {"type": "string"},
                      "state": {"type": "string", "enum": ["waiting", "leased", "delivered", "dead", "cancelled"]},
                      "attempts": {"type": "integer"}, "createdAt": {"type": "string", "format": "date-time"},
                      "changedAt": {"type": "string", "format": "date-time"},
                      "nextRetry": {"type": "string", "format": "date-time"}, "reason": {"type": "string"}
                    }
                  }
                }
              }
            }
          }
        }
        """#
}
