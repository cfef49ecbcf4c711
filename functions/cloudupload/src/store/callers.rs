//! Those who may call the API, beside OBS's frontend.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use serde_dynamo::from_item;

use super::StoreError;
use crate::{
    aws::Failure,
    caller::{CallerName, CallerRecord},
};

/// The table of callers: one item each, under the caller's name.
#[derive(Clone, Debug)]
pub struct Callers {
    client: Client,
    table: String,
}

impl Callers {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// The caller of that name, as the last write left it, so that one who is removed is out at once.
    pub async fn get(&self, name: &CallerName) -> Result<Option<CallerRecord>, StoreError> {
        let key = HashMap::from([("name".to_owned(), AttributeValue::S(name.to_string()))]);
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .consistent_read(true)
            .send()
            .await
            .map_err(Failure::of("dynamodb:GetItem"))?;
        let caller = answer.item.map(from_item).transpose();
        caller.map_err(StoreError::UnreadableCaller)
    }
}
