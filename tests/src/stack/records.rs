//! The jobs' records in DynamoDB.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_sdk_dynamodb::{
    operation::update_item::builders::UpdateItemFluentBuilder, types::AttributeValue,
};

use super::Stack;
use crate::{JobId, environment::env_var};

impl Stack {
    /// The job's record.
    pub async fn record(&self, id: JobId) -> HashMap<String, AttributeValue> {
        let answer = self
            .dynamodb
            .get_item()
            .table_name(env_var("JOBS_TABLE"))
            .key("id", AttributeValue::S(id.to_string()))
            .consistent_read(true)
            .send()
            .await;
        answer
            .expect("DynamoDB answers")
            .item
            .expect("the job has a record")
    }

    /// Makes the job's record this many seconds older.
    pub async fn age(&self, id: JobId, seconds: u64) {
        for path in ["created", "ended", "cleaned.#at"] {
            let update = self
                .update_record(id)
                .update_expression(format!("SET {path} = {path} - :seconds"))
                .condition_expression(format!("attribute_exists({path})"))
                .expression_attribute_values(":seconds", AttributeValue::N(seconds.to_string()));
            let update = match path.contains('#') {
                true => update.expression_attribute_names("#at", "at"),
                false => update,
            };
            // A job that has not ended has only some of these.
            let _ = update.send().await;
        }
    }

    /// Makes the last sign of the client that pushes the job's file come this many seconds earlier.
    pub async fn age_push(&self, id: JobId, seconds: u64) {
        let number = |number: u128| AttributeValue::N(number.to_string());
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("the clock is past 1970").as_millis();
        let update = self
            .update_record(id)
            .update_expression("SET reported = if_not_exists(reported, :now) - :millis")
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":millis", number(u128::from(seconds) * 1000));
        update.send().await.expect("DynamoDB takes the change");
    }

    /// The numbers of the job's events that lie in the outbox.
    pub async fn unsent_events(&self, id: JobId) -> Vec<u64> {
        let answer = self
            .dynamodb
            .query()
            .table_name(env_var("OUTBOX_TABLE"))
            .key_condition_expression("job = :job")
            .expression_attribute_values(":job", AttributeValue::N(id.to_string()))
            .consistent_read(true)
            .send()
            .await;
        let items = answer.expect("DynamoDB answers").items.unwrap_or_default();
        let numbers = items.iter().map(|item| item["sequence"].as_n());
        numbers
            .map(|number| number.expect("a number").parse().expect("a number"))
            .collect()
    }

    /// Makes the job's events that lie in the outbox this many seconds older.
    pub async fn age_events(&self, id: JobId, seconds: u64) {
        for number in self.unsent_events(id).await {
            let update = self
                .dynamodb
                .update_item()
                .table_name(env_var("OUTBOX_TABLE"))
                .key("job", AttributeValue::N(id.to_string()))
                .key("sequence", AttributeValue::N(number.to_string()))
                .update_expression("SET #at = #at - :seconds")
                .condition_expression("attribute_exists(job)")
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":seconds", AttributeValue::N(seconds.to_string()));
            // The scheduled sweep may have sent it meanwhile.
            let _ = update.send().await;
        }
    }

    /// Puts an event of the job into the outbox that is late, as if it could not be sent when the job became `created`.
    pub async fn put_late_event(&self, id: JobId) {
        let put = self
            .dynamodb
            .put_item()
            .table_name(env_var("OUTBOX_TABLE"))
            .item("job", AttributeValue::N(id.to_string()))
            .item("sequence", AttributeValue::N("1".to_owned()))
            .item("state", AttributeValue::S("created".to_owned()))
            .item("at", AttributeValue::N("1".to_owned()));
        put.send().await.expect("DynamoDB takes an item");
    }

    /// Replaces the token in the job's record, so that its execution waits for one that nobody knows.
    pub async fn lose_token(&self, id: JobId) {
        let update = self
            .update_record(id)
            .update_expression("SET #token = :other")
            .condition_expression("attribute_exists(#token)")
            .expression_attribute_names("#token", "token")
            .expression_attribute_values(":other", AttributeValue::S("of another".to_owned()));
        update.send().await.expect("the job has a token");
    }

    fn update_record(&self, id: JobId) -> UpdateItemFluentBuilder {
        self.dynamodb
            .update_item()
            .table_name(env_var("JOBS_TABLE"))
            .key("id", AttributeValue::S(id.to_string()))
    }
}
