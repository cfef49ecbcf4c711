//! The jobs' records in DynamoDB.

use std::collections::HashMap;

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
