//! DynamoDB's JSON (API reference, AttributeValue), and a job's record in it.

use serde_json::{Map, Value, json};

use crate::{Answer, Call};

/// The record of job 1 as plain JSON: uploading, with nothing made yet.
pub fn record() -> Value {
    json!({
        "id": "1",
        "state": "uploading",
        "details": "uploading image",
        "created": 1795445844,
        "order": {
            "user": "tom",
            "target": "ec2",
            "project": "Cloud:Images",
            "repository": "images",
            "package": "leap-ec2",
            "arch": "x86_64",
            "filename": "leap-ec2.x86_64-15.6.raw.xz",
            "size": 23097940,
            "ec2": {
                "role": "arn:aws:iam::123456789012:role/obs",
                "external_id": "top-secret",
                "region": "us-east-1",
                "ami_name": "leap",
            },
        },
        "work": {},
    })
}

/// An item of these attributes.
pub fn item(plain: &Value) -> Value {
    attribute(plain)["M"].clone()
}

fn attribute(plain: &Value) -> Value {
    match plain {
        Value::Null => json!({"NULL": true}),
        Value::Bool(value) => json!({ "BOOL": value }),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::String(text) => json!({ "S": text }),
        Value::Array(list) => json!({"L": list.iter().map(attribute).collect::<Vec<_>>()}),
        Value::Object(map) => {
            let map: Map<String, Value> = map
                .iter()
                .map(|(name, value)| (name.clone(), attribute(value)))
                .collect();
            json!({ "M": map })
        }
    }
}

/// What an attribute says: `{"N": "7"}` is 7.
pub fn plain(attribute: &Value) -> Value {
    let Some((kind, value)) = attribute.as_object().and_then(|map| map.iter().next()) else {
        panic!("{attribute} is no attribute");
    };
    match (kind.as_str(), value) {
        ("NULL", _) => Value::Null,
        ("N", Value::String(number)) => number.parse().map_or(Value::Null, Value::Number),
        ("L", Value::Array(list)) => list.iter().map(plain).collect(),
        ("M", map) => plain_item(map),
        (_, value) => value.clone(),
    }
}

/// What an item says.
pub fn plain_item(item: &Value) -> Value {
    let map = item.as_object().expect("an item is an object");
    let map = map.iter().map(|(name, value)| (name.clone(), plain(value)));
    Value::Object(map.collect())
}

/// An update or a condition with names and values in place of their placeholders: `SET work.disk_size = 7`.
/// `request` is an UpdateItem, or the part of a transaction.
pub fn expression(request: &Value, which: &str) -> String {
    let mut text = request[which].as_str().unwrap_or_default().to_owned();
    let placeholders = |of: &str| request[of].as_object().cloned().unwrap_or_default();
    let names = placeholders("ExpressionAttributeNames").into_iter();
    let names = names.map(|(key, name)| (key, name.as_str().unwrap_or_default().to_owned()));
    let values = placeholders("ExpressionAttributeValues").into_iter();
    let values = values.map(|(key, value)| (key, plain(&value).to_string()));
    let mut all: Vec<(String, String)> = names.chain(values).collect();
    // `#n1` is the beginning of `#n10`.
    all.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
    for (key, value) in all {
        text = text.replace(&key, &value);
    }
    text
}

/// The answer of a write whose condition did not hold, with the item as it is if it was asked for (API reference,
/// UpdateItem, `ReturnValuesOnConditionCheckFailure`).
pub fn condition_failed(call: &Call, item: Option<&Value>) -> Answer {
    let request = call.json();
    let mut body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
    });
    if let Some(item) = item
        && request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
    {
        body["Item"] = item.clone();
    }
    Answer::new(400, body.to_string())
}

/// The answer of a transaction that was cancelled, with the reason of each part, `None` for one that was in order (API
/// reference, TransactWriteItems, "Cancellation reasons").
pub fn cancelled(reasons: &[(&str, Option<&Value>)]) -> Answer {
    let reasons: Vec<Value> = reasons
        .iter()
        .map(|(code, item)| match item {
            Some(item) => json!({"Code": code, "Item": item}),
            None => json!({ "Code": code }),
        })
        .collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons,
    });
    Answer::new(400, body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_read_without_its_placeholders() {
        let request = json!({
            "UpdateExpression": "SET #n1.#n10 = :v1, #n2 = :v10",
            "ExpressionAttributeNames": {"#n1": "work", "#n10": "size", "#n2": "details"},
            "ExpressionAttributeValues": {":v1": {"N": "7"}, ":v10": {"S": "x"}},
        });
        let update = expression(&request, "UpdateExpression");
        assert_eq!(update, r#"SET work.size = 7, details = "x""#);
        assert_eq!(expression(&request, "ConditionExpression"), "");
    }

    #[test]
    fn a_record_becomes_an_item_and_comes_back() {
        assert_eq!(plain_item(&item(&record())), record());
    }
}
