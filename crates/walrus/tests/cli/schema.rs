//! As much of JSON Schema as the API's description uses, read strictly: a member that the schema
//! does not know is a fault.

use serde_json::Value;

/// The API's description with its schemas.
pub(crate) struct Schemas(pub(crate) Value);

impl Schemas {
    /// All that is wrong with a value under a named schema; empty if it matches.
    pub(crate) fn faults(&self, schema: &str, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        let reference = serde_json::json!({ "$ref": format!("#/components/schemas/{schema}") });
        self.check(&reference, value, schema, &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            let found = &self.0["components"]["schemas"][name];
            if found.is_null() {
                faults.push(format!("{place}: there is no schema {name}"));
                return;
            }
            return self.check(found, value, place, faults);
        }
        if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            let fits = |choice: &&Value| {
                let mut faults = Vec::new();
                self.check(choice, value, place, &mut faults);
                faults.is_empty()
            };
            if !choices.iter().any(|choice| fits(&choice)) {
                faults.push(format!("{place}: {value} is none of the choices"));
            }
            return;
        }
        self.check_type(schema, value, place, faults);
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            faults.push(format!("{place}: {value} is none of {allowed:?}"));
        }
        match value {
            Value::Object(members) => self.check_object(schema, members, place, faults),
            Value::Array(items) => self.check_array(schema, items, place, faults),
            _ => {}
        }
    }

    fn check_type(&self, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
        let fits = |kind: &Value| match kind.as_str().unwrap_or_default() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            _ => false,
        };
        let ok = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().any(fits),
            Value::Null => true,
            kind => fits(kind),
        };
        if !ok {
            faults.push(format!("{place}: {value} is no {}", schema["type"]));
        }
    }

    fn check_object(
        &self,
        schema: &Value,
        members: &serde_json::Map<String, Value>,
        place: &str,
        faults: &mut Vec<String>,
    ) {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(required.as_str().unwrap_or_default()) {
                faults.push(format!("{place}: {required} is missing"));
            }
        }
        for (name, member) in members {
            match schema["properties"].get(name) {
                Some(schema) => self.check(schema, member, &format!("{place}.{name}"), faults),
                None => faults.push(format!("{place}: {name} is not in the schema")),
            }
        }
    }

    fn check_array(&self, schema: &Value, items: &[Value], place: &str, faults: &mut Vec<String>) {
        let tuple = schema["prefixItems"].as_array();
        for (index, item) in items.iter().enumerate() {
            let schema = match tuple.and_then(|tuple| tuple.get(index)) {
                Some(schema) => schema,
                None => &schema["items"],
            };
            // `items: false` ends a tuple.
            if *schema == Value::Bool(false) {
                faults.push(format!("{place}: {index} is one too many"));
                continue;
            }
            self.check(schema, item, &format!("{place}[{index}]"), faults);
        }
    }
}

#[test]
fn faults_are_found() {
    let schemas = Schemas(serde_json::json!({ "components": { "schemas": { "Thing": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": { "type": "string" },
            "load": { "type": ["number", "null"] },
            "pairs": { "type": "array", "items": { "type": "array",
                       "prefixItems": [{ "type": "string" }, { "type": "number" }],
                       "items": false } },
        },
    } } } }));
    let good = serde_json::json!({ "name": "a", "load": null, "pairs": [["b", 1]] });
    assert_eq!(schemas.faults("Thing", &good), [""; 0]);
    for bad in [
        serde_json::json!({}),
        serde_json::json!({ "name": 7 }),
        serde_json::json!({ "name": "a", "colour": "red" }),
        serde_json::json!({ "name": "a", "load": "much" }),
        serde_json::json!({ "name": "a", "pairs": [["b", "c"]] }),
        serde_json::json!({ "name": "a", "pairs": [["b", 1, 2]] }),
    ] {
        assert_eq!(schemas.faults("Thing", &bad).len(), 1, "{bad}");
    }
}
